"""FaceNet's network: the fixtures of the original code, and facenet-pytorch's own class."""

from pathlib import Path

import pytest
import torch

from anonbench.nets.inception_resnet_v1 import InceptionResnetV1
from anonbench.nets.state import load_state
from anonbench.testing.fixtures import read_layout
from anonbench.testing.parity import check_parity

CLASSES = 7


@pytest.fixture(scope="module")
def theirs() -> torch.nn.Module:
    """facenet-pytorch's network, with statistics that real batches have left."""
    module = pytest.importorskip("facenet_pytorch")
    torch.manual_seed(0)
    net = module.InceptionResnetV1(classify=True, num_classes=CLASSES).train()
    with torch.no_grad():
        for _ in range(2):
            net(torch.randn(4, 3, 160, 160))
    return net.eval()


@pytest.fixture(scope="module")
def ours(theirs: torch.nn.Module) -> InceptionResnetV1:
    net = InceptionResnetV1(classes=CLASSES).eval()
    load_state(net, theirs.state_dict())
    return net


def test_computes_what_facenet_pytorch_computed(shared: Path) -> None:
    outcome = check_parity(shared / "parity", "facenet")
    assert outcome.verdict == "passed", outcome


def test_has_the_keys_of_the_checkpoint_in_their_order(shared: Path) -> None:
    expected = read_layout(shared / "parity", "facenet").networks["net"].state
    with torch.device("meta"):
        found = InceptionResnetV1(classes=1000).state_dict()
    assert list(found) == [key for key, _, _ in expected]
    assert [tuple(tensor.shape) for tensor in found.values()] == [s for _, s, _ in expected]


@pytest.mark.parametrize("size", [160, 99])
@torch.no_grad()
def test_agrees_with_the_installed_facenet_pytorch(
    theirs: torch.nn.Module, ours: InceptionResnetV1, size: int
) -> None:
    images = torch.randint(0, 256, (2, 3, size, size), generator=torch.Generator().manual_seed(1))
    standardised = (images - 127.5) / 128
    theirs.classify = True  # type: ignore[assignment]
    torch.testing.assert_close(
        ours.classify(images / 255), theirs(standardised), rtol=1e-3, atol=1e-4
    )
    theirs.classify = False  # type: ignore[assignment]
    embeddings = ours(images / 255)
    torch.testing.assert_close(embeddings, theirs(standardised), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(2))


def test_without_classes_there_is_no_classifier() -> None:
    with torch.device("meta"):
        keys = InceptionResnetV1().state_dict()
    assert not any(key.startswith("logits") for key in keys)


def test_drops_features_only_while_it_is_trained(ours: InceptionResnetV1) -> None:
    # Only the dropout trains here: batch statistics would differ, too.
    crops = torch.rand(1, 3, 99, 99)
    try:
        ours.dropout.train()
        with torch.no_grad():
            assert not torch.equal(ours(crops), ours(crops))
    finally:
        ours.eval()
    with torch.no_grad():
        assert torch.equal(ours(crops), ours(crops))


def test_the_gradient_reaches_the_pixels(ours: InceptionResnetV1) -> None:
    crops = torch.rand(1, 3, 99, 99, requires_grad=True)
    ours(crops)[0, 0].backward()
    assert crops.grad is not None
    assert crops.grad.abs().sum() > 0
