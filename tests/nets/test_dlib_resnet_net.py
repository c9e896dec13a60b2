from collections.abc import Callable
from pathlib import Path

import dlib
import numpy as np
import pytest
import torch
from dlib_bytes import mini_network
from numpy.typing import NDArray

from anonbench.errors import UserError
from anonbench.nets.dlib_resnet import DIM, Block, DlibFaceResNet, load_dlib_resnet

Chips = list[NDArray[np.uint8]]


@pytest.fixture(scope="module")
def file(artefact: Callable[[str], Path]) -> Path:
    return artefact("dlib-resnet")


@pytest.fixture(scope="module")
def net(file: Path) -> DlibFaceResNet:
    return load_dlib_resnet(file)


def noise(count: int) -> Chips:
    random = np.random.default_rng(0)
    return list(random.integers(0, 256, (count, 150, 150, 3), dtype=np.uint8))


def faces(shared: Path, predictor: Path, count: int) -> Chips:
    """dlib's own chips of the LFW faces, which stand in the middle of their images."""
    images = sorted((shared / "data/lfw/lfw-deepfunneled").glob("*/*_0001.jpg"))[:count]
    fit, box = dlib.shape_predictor(str(predictor)), dlib.rectangle(75, 75, 175, 175)
    pixels = [dlib.load_rgb_image(str(path)) for path in images]
    return [dlib.get_face_chip(image, fit(image, box), 150, 0.25) for image in pixels]


def to_tensor(chips: Chips) -> torch.Tensor:
    return torch.from_numpy(np.stack(chips)).permute(0, 3, 1, 2).float() / 255


def assert_agrees_with_dlib(net: DlibFaceResNet, file: Path, chips: Chips) -> None:
    model = dlib.face_recognition_model_v1(str(file))
    expected = np.array([model.compute_face_descriptor(chip) for chip in chips])
    with torch.inference_mode():
        found = net(to_tensor(chips)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_agrees_with_dlib_on_random_chips(net: DlibFaceResNet, file: Path) -> None:
    flat = [np.full((150, 150, 3), value, np.uint8) for value in (0, 255)]
    assert_agrees_with_dlib(net, file, noise(3) + flat)


def test_agrees_with_dlib_on_faces(
    net: DlibFaceResNet, file: Path, shared: Path, artefact: Callable[[str], Path]
) -> None:
    chips = faces(shared, artefact("dlib-shape-predictor-5"), 8)
    assert_agrees_with_dlib(net, file, chips)


@torch.inference_mode()
def test_an_embedding_depends_neither_on_the_batch_nor_on_the_memory_format(
    net: DlibFaceResNet,
) -> None:
    chips = to_tensor(noise(5))
    together = net(chips)
    alone = torch.cat([net(chip[None]) for chip in chips])
    last = net(chips.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(together, last, rtol=0, atol=1e-5)


def test_the_gradient_reaches_the_pixels_and_is_right(file: Path) -> None:
    """Against a central difference along the gradient, in double precision."""
    net = load_dlib_resnet(file).double()
    chips = to_tensor(noise(2)).double().requires_grad_()
    distance = (net(chips)[0] - net(chips)[1]).square().sum()
    (gradient,) = torch.autograd.grad(distance, chips)
    step = 1e-6 * gradient / gradient.norm()
    with torch.inference_mode():
        ahead, behind = net(chips + step), net(chips - step)
    difference = (ahead[0] - ahead[1]).square().sum() - (behind[0] - behind[1]).square().sum()
    assert gradient.norm() > 0
    assert difference.item() / 2e-6 == pytest.approx(gradient.norm().item(), rel=1e-3)


def test_a_judge_has_no_trainable_weights(net: DlibFaceResNet) -> None:
    assert not any(parameter.requires_grad for parameter in net.parameters())


def test_a_truncated_file_is_refused(file: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.dat"
    cut.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"cut\.dat cannot be read .* the file ends"):
        load_dlib_resnet(cut)


def test_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mini.dat"
    path.write_bytes(mini_network().replace(b"\x01\x04\x01\x06", b"\x01\x96\x01\x96"))
    with pytest.raises(UserError, match="another network than dlib's face recogniser: con"):
        load_dlib_resnet(path)


def test_a_damaged_shape_is_refused(file: Path, tmp_path: Path) -> None:
    """The first affine layer's two vectors declared as 33 and 31 long instead of 32 each."""
    whole = file.read_bytes()
    declared = bytes.fromhex("0101 0101 0120 0101 0101")
    start = whole.index(declared * 2)
    wrong = declared.replace(b"\x20", b"\x21") + declared.replace(b"\x20", b"\x1f")
    path = tmp_path / "shape.dat"
    path.write_bytes(whole[:start] + wrong + whole[start + len(wrong) :])
    with pytest.raises(UserError, match=r"an array of shape \(1, 33, 1, 1\)"):
        load_dlib_resnet(path)


def test_architecture_needs_no_file() -> None:
    with torch.inference_mode():
        embeddings = DlibFaceResNet((0.0, 0.0, 0.0))(torch.rand(2, 3, 150, 150))
    assert embeddings.shape == (2, DIM)


def test_summands_of_different_size_are_extended_with_zeros() -> None:
    """8 rows: the convolution halves to 3 and the pooling to 4; channels grow from 2 to 3."""
    block = Block(2, 3, halve=True)
    for parameter in block.parameters():
        torch.nn.init.zeros_(parameter)
    torch.nn.init.ones_(block.conv2.bias)
    with torch.inference_mode():
        found = block(torch.full((1, 2, 8, 8), 5.0))
    expected = torch.zeros(1, 3, 4, 4)
    expected[:, :2] = 5
    expected[:, :, :3, :3] += 1
    torch.testing.assert_close(found, expected)
