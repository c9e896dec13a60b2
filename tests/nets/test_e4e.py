"""e4e's encoder, which is too large to be filled here: its keys and its sizes on paper.

The fixtures of the original code: test_riddle_networks.
"""

from pathlib import Path

import pytest
import torch
from network_facts import assert_has_the_keys, gigamacs, millions, on_meta

from anonbench.errors import BadData
from anonbench.nets.e4e import E4e, StyleHead
from anonbench.nets.ir_se50 import IrSe50
from anonbench.nets.state import load_state


def test_has_the_keys_of_the_checkpoint(shared: Path) -> None:
    assert_has_the_keys(on_meta(E4e), shared, "riddle", "e4e_encoder")


@pytest.mark.parametrize(("latents", "size", "macs"), [(14, 209.451, 59.6), (18, 267.137, 72.5)])
def test_has_the_size_of_the_published_encoders(latents: int, size: float, macs: float) -> None:
    net = on_meta(lambda: E4e(latents))
    assert millions(net) == pytest.approx(size, abs=5e-4)
    assert gigamacs(net, (1, 3, 256, 256)) == pytest.approx(macs, abs=0.05)
    images = torch.empty(2, 3, 256, 256, device="meta")
    assert net(images).shape == (2, latents, 512)


def test_says_that_the_encoder_for_1024_pixels_is_another() -> None:
    with pytest.raises(BadData, match=r"unexpected: styles\.14\.convs"):
        load_state(on_meta(E4e), on_meta(lambda: E4e(18)).state_dict())


def test_its_trunk_is_that_of_ir_se50() -> None:
    def trunk(net: torch.nn.Module) -> dict[str, torch.Size]:
        state = net.state_dict().items()
        return {key: value.shape for key, value in state if key.startswith(("input", "body"))}

    assert trunk(on_meta(E4e)) == trunk(on_meta(IrSe50))


@torch.no_grad()
def test_a_head_sees_the_whole_map() -> None:
    """Five halvings of 32 places, each over 3 x 3: every place has a part in the code."""
    torch.manual_seed(0)
    head = StyleHead(32)
    x = torch.randn(1, 512, 32, 32)
    assert len(list(head.convs)) == 10
    code = head(x)
    assert code.shape == (1, 512)
    for row, column in [(0, 0), (0, 31), (31, 0), (31, 31)]:
        changed = x.clone()
        changed[..., row, column] += 100
        assert not torch.allclose(head(changed), code)
