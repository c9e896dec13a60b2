"""The training step of G²Face: what each reading of the article changes, seen from outside."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from g2face_world import toy_settings, toy_training
from generative_world import (
    COUNT,
    Calls,
    DrawingPriors,
    FittedPriors,
    ToyPriors,
    random_lpips,
    toy_batch,
    toy_crops,
    traced,
)
from safetensors.torch import load_file, save_file
from torch import Tensor

from anonbench.errors import MissingArtefact
from anonbench.generative.demo_losses import enlarged, parted_l1
from anonbench.generative.swaps import face_regions
from anonbench.nets.float_bits import bits_to_floats, floats_to_bits, logits_to_bits
from anonbench.training.loop import MODEL
from anonbench.training.settings import Run
from anonbench_g2face.checkpoints import BUNDLES
from anonbench_g2face.settings import Settings
from anonbench_g2face.training import G2FaceTraining

pytestmark = pytest.mark.usefixtures("small_machine")


def parameters_of(module: torch.nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in module.parameters()]


def changed(before: list[Tensor], module: torch.nn.Module) -> bool:
    pairs = zip(before, module.parameters(), strict=True)
    return any(not torch.equal(a, b) for a, b in pairs)


NOTHING = dict.fromkeys(
    ("reconstruction", "adversarial", "identity", "diversity", "geometry", "hiding"), 0.0
) | {"recovered_hiding": 0.0}


@pytest.mark.parametrize("joint", [True, False])
def test_only_a_joint_update_takes_the_recovery_loss_through_the_anonymized_image(
    joint: bool,
) -> None:
    variant = {"joint": joint, "anonymized_reconstruction": False}
    settings = toy_settings(variant=variant, weights={**NOTHING, "reconstruction": 1.0})
    training = toy_training(settings)
    # Dummy identities play no part in recovery but for the image that it starts from.
    dummy, decoder = training.networks.map_2_id, training.networks.anonymous_net
    before, others = parameters_of(dummy), parameters_of(decoder)
    training.step(toy_batch(), 0)
    assert changed(before, dummy) == joint
    assert changed(others, decoder)


@pytest.mark.parametrize(
    ("sees", "step", "kinds"),
    [
        ("both", 0, [0, 1]),
        ("both", 1, [0, 1]),
        ("alternate", 0, [0]),
        ("alternate", 1, [1]),
        ("anonymized", 1, [0]),
    ],
)
def test_the_discriminator_sees_these_fakes(sees: str, step: int, kinds: list[int]) -> None:
    training = toy_training(toy_settings(variant={"discriminator_sees": sees}, r1_every=100))
    batch = toy_batch()
    with (
        Calls(training.networks.anonymous_net) as decoder,
        Calls(training.modules["discriminator"]) as calls,
    ):
        training.step(batch, step + 2)
    *fooled, real, fakes = (arguments[0] for arguments in calls.arguments)
    assert torch.equal(real, batch.images * 2 - 1)
    assert torch.equal(fakes, torch.cat([decoder.results[kind] for kind in kinds]))
    expected = [0] if sees == "anonymized" else [0, 1]
    assert len(fooled) == len(expected), "what it ever sees shall deceive it"
    for kind, image in zip(expected, fooled, strict=True):
        assert torch.equal(image, decoder.results[kind])


@pytest.mark.parametrize("first", ["identity", "random"])
@pytest.mark.parametrize("second", ["identity", "random"])
def test_what_is_hidden(first: str, second: str) -> None:
    training = toy_training(toy_settings(variant={"hides": first, "recovery_hides": second}))
    batch = toy_batch()
    own = floats_to_bits(training.priors.embed(batch.images * 2 - 1))
    with Calls(training.networks.anonymous_net) as decoder:
        training.step(batch, 0)
    for arguments, hides in zip(decoder.arguments, (first, second), strict=True):
        bits = arguments[2]
        assert torch.equal(bits, own) == (hides == "identity")
        assert bool(bits_to_floats(bits, "raw").isfinite().all())


@pytest.mark.parametrize("source", ["true", "extracted"])
def test_where_recovery_takes_the_identity_from(source: str) -> None:
    training = toy_training(toy_settings(variant={"recovery_from": source}))
    batch = toy_batch()
    networks = training.networks
    with Calls(networks.style_mlp) as mapper, Calls(networks.hiding_extractor) as extractor:
        training.step(batch, 0)
    given = mapper.arguments[1][0]
    if source == "true":
        assert torch.equal(given, training.priors.embed(batch.images * 2 - 1))
    else:
        read = logits_to_bits(extractor.results[1])
        assert torch.equal(given, bits_to_floats(read, "clamp50"))


@pytest.mark.parametrize("quantized", [True, False])
def test_recipients_see_eight_bits_unless_told_otherwise(quantized: bool) -> None:
    training = toy_training(toy_settings(quantized=quantized))
    networks = training.networks
    with Calls(networks.anonymous_net) as decoder, Calls(networks.hiding_extractor) as extractor:
        training.step(toy_batch(), 0)
    for seen in (extractor.arguments[0][0], decoder.arguments[1][0]):
        levels = (seen.detach() + 1) * 127.5
        assert torch.allclose(levels, levels.round(), atol=1e-3) == quantized
        assert torch.allclose(seen, decoder.results[0].clamp(-1, 1), atol=1 / 127) or not quantized


def test_the_extractor_reads_through_noise() -> None:
    training = toy_training(toy_settings(quantized=False, extractor_noise=0.01))
    networks = training.networks
    with Calls(networks.anonymous_net) as decoder, Calls(networks.hiding_extractor) as extractor:
        training.step(toy_batch(), 0)
    for stage in range(2):
        noise = extractor.arguments[stage][0] - decoder.results[stage]
        assert float(noise.detach().std()) == pytest.approx(0.01, rel=0.05)
    assert torch.equal(decoder.arguments[1][0], decoder.results[0]), "recovery does not"


def test_swaps_teach_the_first_images_and_drawn_faces_the_others() -> None:
    weights = {**NOTHING, "swap": 1.0, "rendered": 1.0}
    training = toy_training(toy_settings(swapped=0.5, weights=weights), DrawingPriors())
    batch = toy_batch()
    with Calls(training.networks.anonymous_net) as decoder:
        values = training.step(batch, 0)
    images, drawn = decoder.arguments[0][0], decoder.arguments[0][4]
    assert torch.equal(images, batch.images * 2 - 1)
    assert torch.equal(drawn, images.flip(3)), "what the priors draw reaches the decoder"
    regions = face_regions(batch.points, 32)[2:]
    output, target = decoder.results[0][2:], drawn[2:]
    lpips = random_lpips("alex")(enlarged(output), enlarged(target)).mean()
    expected = parted_l1(output, target, regions) + lpips
    assert values["rendered"] == pytest.approx(float(expected), rel=1e-3)
    assert values["swap"] > 0


def test_priors_that_draw_nothing_teach_nothing() -> None:
    training = toy_training(toy_settings(weights={**NOTHING, "rendered": 1.0}))
    with Calls(training.networks.anonymous_net) as decoder:
        values = training.step(toy_batch(), 0)
    assert "rendered" not in values
    assert all(arguments[4] is None for arguments in decoder.arguments)


def test_recovered_faces_count_once_more_where_they_are_asked_to() -> None:
    training = toy_training(toy_settings(weights={**NOTHING, "recovered_face": 1.0}))
    batch = toy_batch()
    with Calls(training.networks.anonymous_net) as decoder:
        values = training.step(batch, 0)
    output, target = decoder.results[-1], batch.images * 2 - 1
    lpips = random_lpips("alex")(enlarged(output), enlarged(target)).mean()
    expected = parted_l1(output, target, face_regions(batch.points, 32)) + lpips
    assert values["recovered face"] == pytest.approx(float(expected), rel=1e-3)


def test_without_the_geometric_prior_identity_alone_steers() -> None:
    training = toy_training(toy_settings(variant={"geometric_prior": False}))
    with Calls(training.networks.style_mlp) as mapper:
        values = training.step(toy_batch(), 0)
    assert training.networks.architecture.geometry == 0
    assert all(arguments[1].shape == (4, 0) for arguments in mapper.arguments)
    assert values["geometry"] > 0, "the loss stays: Table VI takes away an input"


def test_decoder_and_new_parts_have_their_own_rates() -> None:
    settings = toy_settings(learning_rate=1e-3, prior_learning_rate=1e-4, warmup=10)
    training = toy_training(settings)
    training.step(toy_batch(), 4)
    new, decoder = training.optimizers["generator"].param_groups
    assert (new["lr"], decoder["lr"]) == (pytest.approx(5e-4), pytest.approx(5e-5))
    known = set(map(id, decoder["params"]))
    network = training.networks.anonymous_net
    assert id(network.conv1.conv.weight) in known and id(network.to_rgbs[0].bias) in known
    assert id(network.pyramid[0].conv1.conv.weight) not in known
    assert len(known) + len(new["params"]) == len(list(training.networks.parameters()))


def test_augmentation_is_part_of_checkpoints_only_where_it_is_on() -> None:
    plain = toy_training(toy_settings())
    assert plain.modules.keys() == {"networks", "discriminator"}
    adaptive = toy_training(toy_settings(ada_target=0.6))
    assert adaptive.modules.keys() == {"networks", "discriminator", "ada"}
    values = adaptive.step(toy_batch(), 0)
    assert values["augmented"] == 0 and int(adaptive.modules["ada"].heard[0]) == 1


def test_preview_shows_three_columns_and_leaves_no_trace() -> None:
    training = toy_training(toy_settings())
    before = {k: v.clone() for k, v in training.networks.state_dict().items()}
    batch = toy_batch()
    with torch.no_grad():
        pictures = training.preview(batch)
    assert pictures.shape == (4, 3, 3, 32, 32)
    assert float(pictures.min()) >= 0 and float(pictures.max()) <= 1
    assert torch.allclose(pictures[:, 0], batch.images, atol=1e-6)
    levels = pictures[:, 1] * 255
    assert torch.allclose(levels, levels.round(), atol=1e-3), "published at 8 bits"
    assert all(torch.equal(v, before[k]) for k, v in training.networks.state_dict().items())
    assert training.networks.training


def test_the_export_is_a_bundle(tmp_path: Path) -> None:
    training = toy_training(toy_settings(), FittedPriors())
    training.step(toy_batch(), 0)
    save_file(dict(training.export()), tmp_path / "model.safetensors")
    networks, states = BUNDLES.read(tmp_path / "model.safetensors")
    assert networks.architecture == training.networks.architecture
    own = training.networks.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in networks.state_dict().items())
    assert states.keys() == {"geometry"}


def train(folder: Path, steps: int, state: Any = None) -> tuple[list[dict[str, float]], Path]:
    crops, accelerator = toy_crops(), Accelerator(cpu=True)
    torch.manual_seed(5)
    settings = toy_settings(
        ada_target=0.6,
        swapped=0.5,
        disturbed=True,
        weights={"swap": 1.0, "recovered_face": 1.0},
    )
    training = G2FaceTraining(settings, accelerator, crops, FittedPriors())
    run = Run(steps=steps, batch=4, seed=3, checkpoint_every=2, preview_every=3, ema=0.5)
    return traced(training, "g2face", crops, run, folder, state)


def test_a_resumed_training_goes_on_exactly(tmp_path: Path) -> None:
    whole, _ = train(tmp_path / "whole", 4)
    first, checkpoint = train(tmp_path / "parts", 2)
    state = torch.load(checkpoint, weights_only=True)
    assert state["modules"].keys() == {"networks", "discriminator", "priors", "ada"}
    second, _ = train(tmp_path / "parts", 4, state)
    assert first + second == whole
    assert len(whole) == 4 and "r1" in whole[0]
    one, other = (load_file(tmp_path / name / MODEL) for name in ("whole", "parts"))
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
    assert (tmp_path / "whole" / "samples" / "step-00000003.png").is_file()


def test_donors_are_the_nearest_others() -> None:
    training = toy_training(toy_settings(candidates=500))
    crops = toy_crops()
    images, points = training._donors.draw(torch.from_numpy(crops.points[:3]))
    apart = ((crops.points[:3, None] - crops.points[None]) ** 2).sum((2, 3))
    np.fill_diagonal(apart, np.inf)
    nearest = apart.argmin(1)
    assert (nearest < COUNT).all()
    assert torch.equal(points, torch.from_numpy(crops.points[nearest]))
    assert torch.allclose(
        (images + 1) * 127.5,
        torch.from_numpy(crops.images[nearest]).permute(0, 3, 1, 2).float(),
        atol=1e-3,
    )


def test_all_missing_official_weights_are_named(anonbench_home: Path) -> None:
    settings = Settings.model_validate({"variant": "paper"})
    with pytest.raises(MissingArtefact) as caught:
        G2FaceTraining(settings, Accelerator(cpu=True), toy_crops())
    text = f"{caught.value.what} {caught.value.mend}"
    for file in ("ms1mv3_arcface_r50.pth", "epoch_20.pth", "BFM_model_front.mat"):
        assert file in text
    assert "anonbench weights import bfm09-front" in text


def test_the_generative_prior_needs_its_weights(anonbench_home: Path) -> None:
    settings = toy_settings(variant={"generative_prior": True})
    with pytest.raises(MissingArtefact, match=r"550000\.pt"):
        G2FaceTraining(settings, Accelerator(cpu=True), toy_crops(), ToyPriors())
