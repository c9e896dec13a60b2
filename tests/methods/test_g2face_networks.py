from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from anonbench.errors import BadData
from anonbench.generative.priors import geometry_of, recogniser_input
from anonbench.nets.float_bits import bits_to_floats, logits_to_bits
from anonbench.nets.fusion import Architecture
from anonbench.nets.state import load_state
from anonbench.nets.stylegan2 import Discriminator, Sizes
from anonbench.testing.fixtures import Fixture, read_fixture
from anonbench.testing.parity import FilledStates, signed
from anonbench_g2face.networks import G2FaceNetworks

SMALL = Architecture(
    Sizes(image=16, style=8, channel_base=64, channel_max=12), identity=2, rows=(2, 2, 2)
)


@pytest.fixture(scope="module")
def fixture(shared: Path) -> Fixture:
    return read_fixture(shared / "parity", "g2face")


@pytest.fixture(scope="module")
def nets(fixture: Fixture) -> G2FaceNetworks:
    nets = G2FaceNetworks().eval()
    states = FilledStates(fixture.layout)
    nets.load({name: states[name] for name, _ in nets.named_children()}, source="the layout")
    return nets


@pytest.fixture(scope="module")
def given(fixture: Fixture) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in fixture.inputs.items()}


@pytest.fixture(scope="module")
def error(fixture: Fixture) -> Callable[[str, torch.Tensor], float]:
    """Largest difference to a stored output over its tolerance."""

    def measure(name: str, found: torch.Tensor) -> float:
        info = fixture.layout.fixtures[name]
        assert isinstance(info.tolerance, float)
        difference = abs(info.excerpt(found.numpy()) - fixture.outputs[name]).max()
        return float(difference / info.scale / info.tolerance)

    return measure


# `anonbench parity` compares every output; here each network once, one image where it is slow.


@torch.no_grad()
def test_mappers_compute_the_same(nets, given, error) -> None:
    dummy = nets.map_2_id(given["z"])
    wplus = nets.style_mlp(dummy, geometry_of(given["coeff"]))
    assert error("dummy_id", dummy) < 1
    assert error("wplus_anonymise", wplus[:, [0, 5, 6, 11, 12, 13]]) < 1


@torch.no_grad()
def test_generator_computes_the_same(nets, given, error) -> None:
    image = nets.anonymous_net(
        signed(given["images"][:1]), given["wplus"][:1], given["bits"][:1], None
    )
    assert error("generator_image0", image) < 1


@torch.no_grad()
def test_extractor_reads_the_same_identity(nets, fixture) -> None:
    anonymised = torch.from_numpy(fixture.outputs["chain_anonymised0"])
    logits = nets.hiding_extractor(anonymised)
    info = fixture.layout.fixtures["chain_logits"]
    difference = abs(logits.numpy() - fixture.outputs["chain_logits"][:1]).max()
    assert difference / info.scale < info.tolerance
    identity = bits_to_floats(logits_to_bits(logits), "clamp50")
    # The authors take subnormals for small normal numbers.
    expected = torch.from_numpy(fixture.outputs["chain_e_hat"][:1])
    torch.testing.assert_close(identity, expected, rtol=0, atol=1e-37)


@torch.no_grad()
def test_discriminator_computes_the_same(fixture, given, error) -> None:
    net = Discriminator(Architecture().sizes).eval()
    load_state(net, FilledStates(fixture.layout)["discriminator"])
    images = signed(given["discriminator_images"][:2])
    assert error("discriminator_logits_pair", net(images)) < 1


def test_a_checkpoint_must_be_whole() -> None:
    nets = G2FaceNetworks(SMALL)
    checkpoint = {name: net.state_dict() for name, net in nets.named_children()}
    nets.load({**checkpoint, "optimizer": {}}, source="g.pth")
    with pytest.raises(BadData, match=r"g\.pth lacks the entries style_mlp"):
        nets.load({k: v for k, v in checkpoint.items() if k != "style_mlp"}, source="g.pth")
    del checkpoint["map_2_id"]["map_2_id.0.bias"]
    with pytest.raises(BadData, match=r"'map_2_id' of g\.pth.*map_2_id\.0\.bias"):
        nets.load(checkpoint, source="g.pth")


def test_geometry_is_shape_expression_and_pose() -> None:
    coefficients = torch.arange(257.0)[None]
    expected = [*range(144), 224, 225, 226]
    assert geometry_of(coefficients)[0].tolist() == expected


def test_recogniser_sees_the_whole_crop_by_nearest_neighbour() -> None:
    images = torch.arange(256.0).expand(1, 3, 256, 256)
    seen = recogniser_input(images)[0, 0, 0]
    assert seen.tolist() == [index * 256 // 112 for index in range(112)]
