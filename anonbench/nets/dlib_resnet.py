"""dlib's face recognition ResNet in PyTorch, loaded from dlib's own file.

The architecture is `anet_type` of dlib's examples/dnn_face_recognition_ex.cpp: 29 convolutions,
each followed by a per-channel affine layer (batch normalisation frozen after training), which is
folded into the convolution here. dlib pads a convolution by half its kernel when its stride is 1
and not at all otherwise; a pooling never; and where the two summands of a residual block differ
in channels, rows or columns, the smaller is extended with zeros behind and below.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from anonbench.errors import UserError
from anonbench.nets.dlib_dat import Layer, read_network

SIZE = 150
DIM = 128
# Channels and residual blocks of each level; every level but the first starts by halving.
LEVELS = ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))


class DlibFaceResNet(nn.Module):
    """Embeds aligned face chips as dlib's `face_recognition_model_v1` does.

    Args:
        mean: What is subtracted from red, green and blue in 0..255.
    """

    mean: Tensor

    def __init__(self, mean: tuple[float, float, float]) -> None:
        super().__init__()
        width = LEVELS[0][0]
        self.stem = nn.Conv2d(3, width, 7, stride=2)
        blocks = []
        for level, (channels, count) in enumerate(LEVELS):
            for index in range(count):
                blocks.append(Block(width, channels, halve=level > 0 and index == 0))
                width = channels
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Linear(width, DIM, bias=False)
        self.register_buffer("mean", torch.tensor(mean, device="cpu").view(1, 3, 1, 1))

    def forward(self, chips: Tensor) -> Tensor:
        """Embeddings `[B, 128]`, not normalised, of RGB chips `[B, 3, 150, 150]` in `[0, 1]`."""
        x = (chips * 255 - self.mean) / 256
        x = functional.max_pool2d(functional.relu(self.stem(x)), 3, stride=2)  # [B, 32, 35, 35]
        for block in self.blocks:
            x = block(x)
        pooled = x.mean(dim=(2, 3))  # [B, 256], from 2 x 2 pixels
        embedding: Tensor = self.head(pooled)
        return embedding


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is average-pooled where the block halves."""

    def __init__(self, width: int, channels: int, *, halve: bool) -> None:
        super().__init__()
        self.halve = halve
        stride, padding = (2, 0) if halve else (1, 1)
        self.conv1 = nn.Conv2d(width, channels, 3, stride=stride, padding=padding)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]` to `[B, channels, H, W]`, or to half of H and W."""
        y = self.conv2(functional.relu(self.conv1(x)))
        shortcut = functional.avg_pool2d(x, 2) if self.halve else x
        return functional.relu(_add_padded(shortcut, y))


def _add_padded(a: Tensor, b: Tensor) -> Tensor:
    """Sum of two maps, each extended with zeros to the larger size in every dimension."""
    if a.shape == b.shape:
        return a + b
    channels, rows, columns = (max(a.shape[dim], b.shape[dim]) for dim in (1, 2, 3))
    a, b = (
        functional.pad(x, (0, columns - x.shape[3], 0, rows - x.shape[2], 0, channels - x.shape[1]))
        for x in (a, b)
    )
    return a + b


def load_dlib_resnet(path: Path) -> DlibFaceResNet:
    """The network with the weights of a file, frozen, on the CPU, in evaluation mode.

    Args:
        path: dlib_face_recognition_resnet_model_v1.dat.

    Raises:
        UserError: The file is damaged or holds another network.
    """
    stored = read_network(path)
    with torch.device("meta"):  # no time is spent on random weights
        net = DlibFaceResNet(stored.mean)
    supply = _Supply(stored.layers, path)
    if stored.size != (SIZE, SIZE):
        supply.refuse(f"an input of size {stored.size}", f"one of {(SIZE, SIZE)}")
    _fill(net, supply)
    return net.eval()


def _fill(net: DlibFaceResNet, supply: "_Supply") -> None:
    """Walk through the network and the file side by side."""
    supply.convolution(net.stem)
    supply.take("relu")
    supply.take("max_pool", 3, 3, 2, 2, 0, 0)
    for block in net.blocks:
        _fill_block(block, supply)
    supply.take("avg_pool", 0, 0, 1, 1, 0, 0)
    supply.linear(net.head)
    supply.take(_END.kind)


def _fill_block(block: nn.Module, supply: "_Supply") -> None:
    assert isinstance(block, Block)
    supply.take("tag")
    supply.convolution(block.conv1)
    supply.take("relu")
    supply.convolution(block.conv2)
    if block.halve:
        supply.take("tag")
        supply.take("tag")
        supply.take("avg_pool", 2, 2, 2, 2, 0, 0)
    supply.take("add_prev")
    supply.take("relu")


_END = Layer("end", (), np.empty(0, np.float32), np.empty(0, np.float32))


class _Supply:
    """Hands out the file's layers in order and refuses what the architecture does not expect."""

    def __init__(self, layers: Iterable[Layer], path: Path) -> None:
        self._layers, self._path = iter(layers), path

    def refuse(self, found: str, expected: str) -> NoReturn:
        raise UserError(
            f"{self._path} holds another network than dlib's face recogniser: "
            f"{found} where {expected} belongs.",
            mend="Fetch the recogniser's file with: anonbench fetch dlib-resnet",
        )

    def take(self, kind: str, *settings: int) -> Layer:
        layer = next(self._layers, _END)
        if (layer.kind, layer.settings) != (kind, settings):
            self.refuse(f"{layer.kind}{layer.settings}", f"{kind}{settings}")
        return layer

    def convolution(self, conv: nn.Conv2d) -> None:
        padding = map(int, conv.padding)
        con = self.take("con", conv.out_channels, *conv.kernel_size, *conv.stride, *padding)
        affine = self.take("affine")
        self._check(con.weight, tuple(conv.weight.shape))
        for vector in (con.bias, affine.weight, affine.bias):
            self._check(vector, (1, conv.out_channels, 1, 1))
        factor = affine.weight.reshape(-1, 1, 1, 1)
        conv.weight = _frozen(con.weight * factor)
        conv.bias = _frozen((con.bias * affine.weight + affine.bias).ravel())

    def linear(self, linear: nn.Linear) -> None:
        outputs, inputs = linear.weight.shape
        fc = self.take("fc", outputs, inputs)
        self._check(fc.weight, (inputs, outputs, 1, 1))
        linear.weight = _frozen(fc.weight.reshape(inputs, outputs).T)

    def _check(self, array: NDArray[np.float32], shape: tuple[int, ...]) -> None:
        if array.shape != shape:
            self.refuse(f"an array of shape {array.shape}", f"one of {shape}")


def _frozen(array: NDArray[np.float32]) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(np.ascontiguousarray(array)), requires_grad=False)
