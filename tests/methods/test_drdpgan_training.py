"""The training step of DR-DPGAN: which loss reaches what, seen from outside."""

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from drdpgan_world import changed, parameters_of, part_of, toy_settings, toy_training
from generative_world import (
    COEFFICIENTS,
    FLOATS,
    SIZE,
    Calls,
    FittedPriors,
    ToyPriors,
    awake,
    toy_batch,
    toy_crops,
    traced,
)
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from anonbench.errors import BadConfig, BadData, MissingArtefact
from anonbench.nets.float_bits import floats_to_bits
from anonbench.nets.fusion import Architecture
from anonbench.nets.stylegan2 import Sizes, draw_noise
from anonbench.training.crops import Crops
from anonbench.training.loop import MODEL
from anonbench.training.settings import Run
from anonbench_drdpgan import training as drdpgan
from anonbench_drdpgan.ablations import ROWS
from anonbench_drdpgan.checkpoints import BUNDLES
from anonbench_drdpgan.losses import critic_loss, deceiving_loss
from anonbench_drdpgan.networks import DrDpganNetworks, steering
from anonbench_drdpgan.settings import Settings
from anonbench_drdpgan.takeover import find_bundle, take_over
from anonbench_drdpgan.training import DrDpganTraining
from anonbench_g2face import checkpoints as g2face
from anonbench_g2face.networks import G2FaceNetworks

DECODER = "input conv1 to_rgb1 convs to_rgbs pyramid fusion_mask hiding_injects"
GENERATING = {f"anonymous_net.{part}" for part in DECODER.split()} | {
    "style_mlp",
    "hiding_extractor",
}


pytestmark = pytest.mark.usefixtures("small_machine")


def signed() -> Tensor:
    return toy_batch().images * 2 - 1


def with_gradient(training: DrDpganTraining) -> set[str]:
    """Parts whose parameters all have a gradient, that of at least one of them not zero."""
    named = list(training.networks.named_parameters())
    without = {part_of(name) for name, value in named if value.grad is None}
    felt = {
        part_of(name)
        for name, value in named
        if value.grad is not None and bool(value.grad.count_nonzero())
    }
    assert not felt & without, "a part learns as a whole"
    return felt


# ------------------------------------------------------------------------------ who learns of what
def test_each_loss_reaches_what_it_is_to_train_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    training = toy_training(toy_settings(code="learned", critic_deceived=True))
    networks, originals = training.networks, signed()
    whole = {name: parameters_of(module) for name, module in training.modules.items()}

    training._guide(training.priors.embed(originals))
    assert with_gradient(training) == {"fake_identity"}
    assert changed(whole["networks"], networks) == {"fake_identity"}
    networks.zero_grad(set_to_none=True)

    assert training._critic is not None
    training._critic.learn(originals, originals.flip(3), 0)
    assert changed(whole["critic"], training.modules["critic"])
    assert not changed(whole["discriminator"], training.modules["discriminator"])
    now = parameters_of(training.modules["critic"])
    training._learn(originals, {"anonymized": originals.flip(3)}, 0)
    assert changed(whole["discriminator"], training.modules["discriminator"])
    assert not changed(now, training.modules["critic"])
    assert with_gradient(training) == set()
    assert changed(whole["networks"], networks) == {"fake_identity"}

    training._prepare()
    assert with_gradient(training) == {"learned_code"}
    assert changed(whole["networks"], networks) == {"fake_identity", "learned_code"}
    networks.zero_grad(set_to_none=True)

    before = parameters_of(networks)
    judges = {name: parameters_of(training.modules[name]) for name in ("discriminator", "critic")}
    monkeypatch.setattr(training, "_learn", lambda *arguments: {})
    monkeypatch.setattr(training._critic, "learn", lambda *arguments: {})
    monkeypatch.setattr(drdpgan, "update", lambda *arguments, longest: None)  # FIG stays
    values = training.step(toy_batch(), 0)
    assert {"adversarial", "discriminative", "recovered adversarial"} <= values.keys()
    assert with_gradient(training) == GENERATING
    assert changed(before, networks) == GENERATING, "nor the generator of fake identities"
    assert not any(changed(old, training.modules[name]) for name, old in judges.items())


def test_dummies_carry_no_gradient_to_their_generator() -> None:
    training = toy_training(toy_settings(refine=False))
    drawn, values = training._draw(toy_batch(), 0)
    assert not drawn.dummy.requires_grad
    assert values["fig steps"] == 0


@pytest.mark.parametrize("joint", [True, False])
def test_one_update_for_both_stages_or_one_for_each(joint: bool) -> None:
    training = toy_training(toy_settings(joint=joint, weights={"discriminative": 0.0}))
    totals = spied_updates(training)
    with Calls(training.networks.anonymous_net) as decoder:
        training.step(toy_batch(), 0)
    assert len(totals) == 2 - joint
    assert decoder.arguments[1][0].requires_grad == joint


def spied_updates(training: DrDpganTraining) -> list[float]:
    totals: list[float] = []
    update = training._update

    def noted(loss: Tensor) -> None:
        totals.append(float(loss.detach()))
        update(loss)

    training._update = noted  # type: ignore[method-assign]
    return totals


# ----------------------------------------------------------------------------------------- losses
def test_eq_10_on_numbers_computed_by_hand() -> None:
    originals, generated = torch.tensor([[0.5], [2.0]]), torch.tensor([[0.2], [-0.4], [0.0], [1.0]])
    # (0.25 + 1) / 2 + (0.04 + 0.16 + 0 + 1) / 4
    assert float(critic_loss(originals, generated)) == pytest.approx(0.625 + 0.3)
    # (0.64 + 1.96 + 1 + 0) / 4
    assert float(deceiving_loss(generated)) == pytest.approx(0.9)
    assert float(critic_loss(torch.ones(2, 1), torch.zeros(3, 1))) == 0


@pytest.mark.parametrize("preset", ["paper", "practical"])
def test_the_total_is_eq_16_of_both_processes(preset: str) -> None:
    training = toy_training(toy_settings(preset=preset, critic_deceived=True))
    totals = spied_updates(training)
    values = training.step(toy_batch(), 0)
    eq_16 = {"adversarial": 1, "discriminative": 1, "identity": 1, "information": 5}
    expected = sum(
        weight * values[f"{process}{name}"]
        for process in ("", "recovered ")
        for name, weight in eq_16.items()
    )
    if preset == "practical":
        expected += values["recovered reconstruction"]
    assert totals == [pytest.approx(expected, rel=1e-5)]
    assert ("recovered reconstruction" in values) == (preset == "practical")


def test_the_generator_does_not_minimise_eq_10_unless_told_to() -> None:
    training = toy_training(toy_settings())
    batch = toy_batch()
    critic = training.modules["critic"]
    networks = training.networks
    with Calls(critic) as judged, Calls(networks.anonymous_net) as decoder:
        values = training.step(batch, 0)
    assert "discriminative" not in values
    originals, generated = (arguments[0] for arguments in judged.arguments)
    assert torch.equal(originals, batch.images * 2 - 1)
    seen = torch.cat(decoder.results).clamp(-1, 1)
    assert generated.shape == seen.shape, "of both processes"
    assert float((generated - seen).abs().max()) < 1 / 127, "as they are published"
    loss = (1 - judged.results[0]).square().mean() + judged.results[1].square().mean()
    assert values["critic"] == pytest.approx(float(loss), rel=1e-5)


def test_without_its_weight_there_is_no_critic() -> None:
    training = toy_training(toy_settings(weights={"discriminative": 0.0}, critic_deceived=True))
    assert training._critic is None
    assert training.modules.keys() == {"networks", "discriminator", "prepared"}
    assert training.optimizers.keys() == {"generator", "discriminator", "fake_identity"}
    later = toy_training(toy_settings(weights={"discriminative": [[5, 0.0], [6, 1.0]]}))
    assert later._critic is not None
    assert (
        later._critic.learn(signed(), signed(), 0)
        == {}
        != later._critic.learn(signed(), signed(), 6)
    )


# --------------------------------------------------------------------------------- fake identities
def test_algorithm_1_makes_the_identities_that_are_given() -> None:
    settings = toy_settings(fake_limit=500, fake_rate=0.05, swapped=0.5, recovery_from="true")
    training = toy_training(settings)
    with Calls(training.networks.style_mlp) as mapper:
        values = training.step(toy_batch(), 0)
    own, given = training.priors.embed(signed()), mapper.arguments[0][0]
    assert torch.allclose(given.norm(dim=1), torch.full((4,), FLOATS**0.5))
    cosine = functional.cosine_similarity(given, own)[2:]
    assert values["fig converged"] == 1 and values["fig steps"] > 0
    assert float(cosine.min()) >= 0.1 - 1e-5 and float(cosine.max()) <= 0.4 + 1e-5
    assert values["original to dummy"] == pytest.approx(float(cosine.mean()), rel=1e-4)
    assert torch.equal(mapper.arguments[1][0], steering(own)), "as long as the given ones"


def test_the_rate_of_algorithm_1_has_no_schedule() -> None:
    training = toy_training(toy_settings(warmup=10, fake_rate=0.05))
    training._set_rates(4)
    rates = {
        name: [group["lr"] for group in optimizer.param_groups]
        for name, optimizer in training.optimizers.items()
    }
    assert rates["generator"] == pytest.approx([5e-4, 5e-5])
    assert rates["discriminator"] == rates["critic"] == pytest.approx([5e-4])
    assert rates["fake_identity"] == [0.05]


@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_table_4_has_the_parts_that_it_names(row: str) -> None:
    training = toy_training(toy_settings(parts=row, weights={"discriminative": 0.0}))
    networks = training.networks
    decoder, fake = networks.anonymous_net, networks.fake_identity
    assert hasattr(decoder, "pyramid") == bool(decoder.fusion_mask) == ("E_G" in row)
    inputs = networks.style_mlp.style_low[0].weight.shape[1]
    assert inputs == FLOATS + COEFFICIENTS * ("3DPC" in row)
    before = parameters_of(fake)
    identity = training.priors.embed(signed())
    made, values = training._guide(identity)
    guided = bool(changed(before, fake))
    assert guided == ("FIG" in row) == bool(values["fig steps"] > 0)
    if not guided:
        torch.manual_seed(1)
        z = training._noise(identity)
        assert torch.allclose(training._refined(z, identity).identity, fake(z), atol=1e-6)
    rendered = training._render(signed(), made, training.priors.coefficients(signed()), bits())
    assert rendered.shape == (4, 3, SIZE, SIZE)


def bits() -> Tensor:
    return torch.rand(4, FLOATS, 32) > 0.5


# ------------------------------------------------------------------------------------------- codes
@pytest.mark.parametrize("code", ["ieee754", "learned"])
@pytest.mark.parametrize("source", ["true", "extracted"])
def test_what_is_hidden_and_what_recovery_starts_from(code: str, source: str) -> None:
    training = toy_training(
        toy_settings(
            code=code,
            recovery_from=source,
            recovery_hides="random" if source == "true" else "identity",
            weights={"discriminative": 0.0, "adversarial": 0.0},
        )
    )
    networks = training.networks
    training._prepare()
    own = training.priors.embed(signed())
    with (
        Calls(networks.anonymous_net) as decoder,
        Calls(networks.style_mlp) as mapper,
        Calls(networks.hiding_extractor) as extractor,
    ):
        training.step(toy_batch(), 0)
    first, second = (arguments[2] for arguments in decoder.arguments)
    if code == "ieee754":
        assert torch.equal(first, floats_to_bits(own))
    else:
        learned = networks.learned_code.eval()
        assert torch.equal(first, learned.spread(learned.encode(own)))
        assert first.flatten(1).unique(dim=1).shape[1] <= 64
    assert torch.equal(second, first) == (source == "extracted")
    given = mapper.arguments[1][0]
    if source == "true":
        assert torch.equal(given, steering(own))
    else:
        logits = networks.code("clamp50").gather(extractor.results[1])
        assert torch.equal(given, steering(networks.code("clamp50").decode(logits > 0)))


def test_preview_leaves_no_trace_and_the_learned_code_without_dropout() -> None:
    training = toy_training(toy_settings(code="learned", weights={"discriminative": 0.0}))
    training.step(toy_batch(), 0)
    before = {key: value.clone() for key, value in training.networks.state_dict().items()}
    with torch.no_grad():
        pictures = training.preview(toy_batch())
    assert pictures.shape == (4, 3, 3, SIZE, SIZE)
    assert torch.allclose(pictures[:, 0], toy_batch().images, atol=1e-6)
    levels = pictures[:, 1] * 255
    assert torch.allclose(levels, levels.round(), atol=1e-3), "published at 8 bits"
    assert all(torch.equal(v, before[k]) for k, v in training.networks.state_dict().items())
    assert training.networks.training
    with Calls(training.networks.anonymous_net) as decoder:
        training.step(toy_batch(), 1)
    learned = training.networks.learned_code
    assert not learned.training
    expected = learned.spread(learned.encode(training.priors.embed(signed())))
    assert torch.equal(decoder.arguments[0][2], expected)
    assert all(
        torch.equal(value, before[f"learned_code.{key}"])
        for key, value in learned.state_dict().items()
    ), "it is fitted once"


# ------------------------------------------------------------------------------ start, stop, resume
def train(folder: Path, steps: int, state: Any = None) -> tuple[list[dict[str, float]], Path]:
    crops, accelerator = toy_crops(), Accelerator(cpu=True)
    torch.manual_seed(5)
    settings = toy_settings(priors="demo", code="learned", swapped=0.5, fake_steps=3)
    training = DrDpganTraining(settings, accelerator, crops, FittedPriors())
    run = Run(steps=steps, batch=4, seed=3, checkpoint_every=1, preview_every=9, ema=0.5)
    return traced(training, "drdpgan", crops, run, folder, state)


def test_a_resumed_training_goes_on_exactly(tmp_path: Path) -> None:
    whole, _ = train(tmp_path / "whole", 2)
    first, checkpoint = train(tmp_path / "parts", 1)
    state = torch.load(checkpoint, weights_only=True)
    expected = {"networks", "discriminator", "priors", "prepared", "critic"}
    assert state["modules"].keys() == expected
    assert bool(state["modules"]["prepared"]["up"])
    second, _ = train(tmp_path / "parts", 2, state)
    assert first + second == whole and len(whole) == 2
    one, other = (load_file(tmp_path / name / MODEL) for name in ("whole", "parts"))
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_the_export_is_a_bundle(tmp_path: Path) -> None:
    training = toy_training(toy_settings(code="learned", parts="FIG+E_G"), FittedPriors())
    save_file(dict(training.export()), tmp_path / "model.safetensors")
    networks, states = BUNDLES.read(tmp_path / "model.safetensors")
    assert networks.build == training.networks.build
    own = training.networks.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in networks.state_dict().items())
    assert states.keys() == {"geometry"}


def g2face_networks() -> G2FaceNetworks:
    torch.manual_seed(7)
    sizes = Sizes(SIZE, style=16, channel_base=256, channel_max=8)
    architecture = Architecture(
        sizes, FLOATS, COEFFICIENTS, (4, 2, 2), mask_norm=False, extractor_width=8
    )
    networks = G2FaceNetworks(architecture)
    awake(networks)
    for mask in networks.anonymous_net.fusion_mask:
        torch.nn.init.normal_(mask.conv.weight)
        torch.nn.init.normal_(mask.conv.bias)
    return networks


@pytest.fixture
def g2face_bundle(tmp_path: Path) -> Path:
    fitted = FittedPriors()
    fitted.prepare(toy_crops())
    path = tmp_path / "g2face.safetensors"
    save_file(g2face.BUNDLES.pack(g2face_networks(), fitted.parts), path)
    return path


class NothingToFit(FittedPriors):
    """Priors that must not be fitted."""

    def prepare(self, crops: Crops) -> None:
        raise AssertionError("these have been fitted before")


def test_networks_taken_over_from_g2face_render_the_same_image(g2face_bundle: Path) -> None:
    settings = toy_settings(start_from=str(g2face_bundle), priors="demo", fake_steps=1)
    priors = NothingToFit()
    training = DrDpganTraining(settings, Accelerator(cpu=True), toy_crops(), priors)
    theirs, ours = g2face_networks(), training.networks
    assert ours.architecture.mask_selects != theirs.architecture.mask_selects
    identity, coefficients = torch.randn(4, FLOATS), torch.randn(4, COEFFICIENTS)
    password, images = bits(), signed()
    noise = draw_noise(theirs.architecture.sizes, [torch.default_generator] * 4)
    with torch.no_grad():
        expected, found = (
            networks.anonymous_net(
                images, networks.style_mlp(identity, coefficients), password, noise
            )
            for networks in (theirs, ours)
        )
        assert torch.allclose(found, expected, atol=1e-5)
        assert float(expected.std()) > 0.05
        read = [networks.hiding_extractor.eval()(expected) for networks in (theirs, ours)]
    assert torch.equal(*read)
    before = parameters_of(ours.fake_identity)
    training._prepare()
    assert priors.ready and changed(before, ours.fake_identity), "only what is not in the bundle"


def test_a_bundle_of_its_own_is_taken_whole(tmp_path: Path) -> None:
    settings = toy_settings(code="learned", priors="demo")
    first = toy_training(settings)
    path = tmp_path / "model.safetensors"
    save_file(BUNDLES.pack(first.networks, first.priors.parts), path)
    again = DrDpganTraining(
        settings.model_copy(update={"start_from": str(path)}),
        Accelerator(cpu=True),
        toy_crops(),
        ToyPriors(),
    )
    again._prepare()
    own = first.networks.state_dict()
    assert all(torch.equal(v, own[k]) for k, v in again.networks.state_dict().items())


def test_where_shapes_differ_weights_stay(g2face_bundle: Path) -> None:
    build = toy_settings(parts="FIG+E_G").build(FLOATS, COEFFICIENTS)
    networks = DrDpganNetworks(build)
    before = {key: value.clone() for key, value in networks.state_dict().items()}
    taken = take_over(networks, ToyPriors(), g2face_bundle)
    assert taken == {"anonymous_net", "hiding_extractor"}
    after = networks.state_dict()
    first = "style_mlp.style_low.0.weight"
    assert torch.equal(after[first], before[first]), "there it has coefficients, too"
    assert not torch.equal(after["style_mlp.style_low.1.weight"], before[first])
    assert torch.equal(after["fake_identity.hidden.weight"], before["fake_identity.hidden.weight"])


def test_what_cannot_be_started_from(g2face_bundle: Path, tmp_path: Path) -> None:
    other = DrDpganNetworks(toy_settings(encoder_norm=False).build(FLOATS, COEFFICIENTS))
    with pytest.raises(BadConfig, match="encoder_norm is True there and False here"):
        take_over(other, ToyPriors(), g2face_bundle)
    networks = DrDpganNetworks(toy_settings().build(FLOATS, COEFFICIENTS))
    broken = tmp_path / "broken.safetensors"
    for content in (b"", b"no tensors"):
        broken.write_bytes(content)
        with pytest.raises(BadData, match="is no bundle"):
            take_over(networks, ToyPriors(), broken)
    save_file({"networks.x": torch.zeros(1)}, broken)
    with pytest.raises(BadData, match="is no bundle"):
        take_over(networks, ToyPriors(), broken)
    save_file(g2face.BUNDLES.pack(g2face_networks()), broken)
    with pytest.raises(BadData, match="Entry 'geometry'"):
        take_over(networks, FittedPriors(), broken)


def test_a_bundle_goes_by_path_or_by_package(g2face_bundle: Path) -> None:
    assert find_bundle(str(g2face_bundle)) == g2face_bundle
    demo = find_bundle("anonbench_g2face/demo.safetensors")
    assert demo.is_file() and demo.parent.name == "anonbench_g2face"
    with pytest.raises(MissingArtefact, match="anonbench_g2face/nothing"):
        find_bundle("anonbench_g2face/nothing.safetensors")


def test_all_missing_official_weights_are_named(anonbench_home: Path) -> None:
    with pytest.raises(MissingArtefact) as caught:
        DrDpganTraining(Settings(), Accelerator(cpu=True), toy_crops())
    text = f"{caught.value.what} {caught.value.mend}"
    assert "ms1mv3_arcface_r50.pth" in text and "epoch_20.pth" in text
    assert "bfm09" not in text, "no loss compares geometry"
    with pytest.raises(MissingArtefact, match=r"550000\.pt"):
        toy_training(toy_settings(generative_prior=True))
