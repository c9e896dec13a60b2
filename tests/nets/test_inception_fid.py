"""FID's Inception-v3: the fixtures of the original code, and pytorch-fid's own network."""

from functools import cache
from pathlib import Path

import pytest
import pytorch_fid.inception
import torch
from safetensors.torch import load_file

from anonbench.errors import BadData
from anonbench.nets.inception_fid import UNUSED, InceptionFid
from anonbench.nets.state import load_state
from anonbench.testing.fixtures import read_layout
from anonbench.testing.parity import check_parity
from anonbench.weights import importers


@pytest.fixture(scope="module")
def published() -> torch.nn.Module:
    """pytorch-fid's network, all its blocks, with random weights in place of the download."""
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pytorch_fid.inception, "load_state_dict_from_url", _random_weights)
        return pytorch_fid.inception.InceptionV3([0, 1, 2, 3]).eval()


def _random_weights(url: str, progress: bool) -> dict[str, torch.Tensor]:
    assert url.endswith("pt_inception-2015-12-05-6726825d.pth")
    return official_state()


@cache
def official_state() -> dict[str, torch.Tensor]:
    """All keys of the official file; weights that keep activations alive."""
    generator = torch.Generator().manual_seed(1)
    net = pytorch_fid.inception._inception_v3(num_classes=1008, aux_logits=False, weights=None)
    state = {}
    for key, value in net.state_dict().items():
        random = torch.rand(value.shape, generator=generator)
        if value.ndim > 1:
            random = (random - 0.5) * (24 / value[0].numel()) ** 0.5
        state[key] = (0.5 + random if value.ndim == 1 else random).to(value.dtype)
    return state


def test_computes_what_pytorch_fid_computes(shared: Path) -> None:
    outcome = check_parity(shared / "parity", "inception_fid")
    assert outcome.verdict == "passed", outcome
    assert len(outcome.comparisons) == 5


def test_has_the_keys_of_the_file_in_their_order(shared: Path) -> None:
    with torch.device("meta"):
        found = InceptionFid().state_dict()
    layout = read_layout(shared / "parity", "inception_fid").networks["inception"].state
    expected = [(key, shape) for key, shape, _ in layout if not key.startswith("fc.")]
    assert [(key, tuple(tensor.shape)) for key, tensor in found.items()] == expected


@pytest.mark.parametrize("size", [(64, 96), (310, 400)])
def test_taps_are_the_packages_at_any_size(published: torch.nn.Module, size) -> None:
    net = InceptionFid().eval()
    load_state(net, official_state(), unused=UNUSED)
    images = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        ours, theirs = net.taps(images), published(images)
    for own, other in zip(ours[:3], theirs[:3], strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-4 * float(other.std()))
    last = theirs[3].flatten(1)
    assert last.std() > 1e-3
    torch.testing.assert_close(ours.pool3, last, rtol=1e-4, atol=1e-4 * float(last.std()))


def test_the_importer_keeps_what_features_come_from(tmp_path: Path) -> None:
    file, target = tmp_path / "pt_inception.pth", tmp_path / "kept.safetensors"
    state = dict(official_state())
    torch.save(state, file)
    importers.inception_fid(file, target)
    kept = load_file(target)
    assert state.keys() - kept.keys() == {"fc.weight", "fc.bias"}
    torch.testing.assert_close(kept, {key: state[key] for key in kept})
    del state["Mixed_7c.branch_pool.conv.weight"]
    torch.save(state, file)
    with pytest.raises(BadData, match=r"missing: Mixed_7c\.branch_pool\.conv\.weight"):
        importers.inception_fid(file, target)
