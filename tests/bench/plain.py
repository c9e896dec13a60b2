"""The yardstick of a network: its convolutions and matrix products, each on its own.

Every such call of one forward pass is recorded and replayed: same shapes, channels_last, without
bias, in the precision asked for. What lies between them (normalisation, activation, layout,
depthwise filters) is what the network is slower by. A transposed convolution is replayed as the
ordinary one of as many multiplications.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

Call = Callable[[], Tensor]
_ATEN = torch.ops.aten


class Recorder(TorchDispatchMode):
    """Collects a replay of each convolution and matrix product, as long as it is active."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._dtype = dtype

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        packet = func.overloadpacket
        if packet is _ATEN.convolution:
            self._convolution(*args)
        elif packet in (_ATEN.mm, _ATEN.bmm):
            self._product(*args[-2:])
        elif packet is _ATEN.addmm:
            self._product(*args[1:3])
        elif packet is _ATEN._scaled_dot_product_flash_attention_for_cpu:
            query, key, value = args[:3]
            self._product(query, key.transpose(-1, -2))
            self._product(query.new_empty(*query.shape[:-1], key.shape[-2]), value)
        return result

    def replay(self) -> None:
        for call in self.calls:
            call()

    def _convolution(self, *args: Any) -> None:
        x, weight, _, stride, padding, dilation, transposed, _, groups = args
        if groups > 1:
            return
        if transposed:
            weight, stride, padding = weight.transpose(0, 1), [1, 1], [weight.shape[-1] // 2] * 2
        x, weight = (
            self._random(each.shape).to(memory_format=torch.channels_last) for each in (x, weight)
        )
        self.calls.append(lambda: functional.conv2d(x, weight, None, stride, padding, dilation))

    def _product(self, a: Tensor, b: Tensor) -> None:
        a, b = self._random(a.shape), self._random(b.mT.shape).mT
        self.calls.append(lambda: torch.matmul(a, b))

    def _random(self, shape: torch.Size) -> Tensor:
        return torch.randn(shape).to(self._dtype)


def plain(run: Callable[[], object], dtype: torch.dtype) -> Recorder:
    """What a run computes with, to be replayed; the run must not be in inference mode."""
    recorder = Recorder(dtype)
    with torch.no_grad(), recorder:
        run()
    return recorder
