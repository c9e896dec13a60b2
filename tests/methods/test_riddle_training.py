"""Training of RiDDLE's encryptor: what a step compares with what, and that it learns."""

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from generative_world import Calls, toy_crops, traced
from pydantic import ValidationError
from riddle_training_world import COUNT, face_batch, face_crops, toy_training
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from anonbench.errors import BadConfig, MissingArtefact
from anonbench.nets.bisenet import CLASSES
from anonbench.nets.state import load_state
from anonbench.training.loop import MODEL
from anonbench.training.settings import Run, load_config
from anonbench_riddle import losses
from anonbench_riddle.networks import LatentEncryptor
from anonbench_riddle.settings import Settings, Weights
from anonbench_riddle.training import RiddleTraining, Teachers

pytestmark = pytest.mark.usefixtures("small_machine")

EAST, NORTH = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]])
WEST, NORTHEAST = -EAST, torch.tensor([[3.0, 4.0]])  # cosines 0.6 and 0.8 with east and north


def test_identities_are_alike_by_their_cosine_from_the_floor_on() -> None:
    assert float(losses.alike(EAST, NORTHEAST, 0.1)) == pytest.approx(0.6)
    assert float(losses.alike(EAST, WEST, 0.1)) == pytest.approx(0.1)
    assert float(losses.alike(EAST, WEST, -1)) == -1
    both = losses.alike(torch.cat([EAST, EAST]), torch.cat([NORTHEAST, NORTH]), 0.1)
    assert float(both) == pytest.approx((0.6 + 0.1) / 2)


def test_what_is_different_enough_has_no_gradient() -> None:
    other = torch.tensor([[0.05, 1.0]], requires_grad=True)
    losses.alike(EAST, other, 0.1).backward()
    assert other.grad is not None and not other.grad.any()


@pytest.mark.parametrize(("intra", "expected"), [(0, (0.6 + 0.1) / 2), (1, (0.6 + 0.1 + 0.8) / 3)])
def test_encrypted_faces_go_away_from_the_original(intra: float, expected: float) -> None:
    found = losses.encryption_identity(EAST, (NORTHEAST, NORTH), intra, 0.1)
    assert float(found) == pytest.approx(expected)


@pytest.mark.parametrize(("intra", "divisor"), [(0, 4), (0.5, 4.5)])
def test_wrong_passwords_give_neither_original_nor_recovered(intra: float, divisor: float) -> None:
    found = losses.decryption_identity(EAST, NORTH, (NORTHEAST, WEST), intra, 0.1)
    # With the recovered one 0.8 and 0, with the original 0.6 and -1, with each other -0.6.
    expected = (0.8 + 0.1 + 0.6 + 0.1 + intra * 0.1) / divisor
    assert float(found) == pytest.approx(expected)


def test_the_recovered_identity_is_the_originals() -> None:
    assert float(losses.recovered_identity(EAST, NORTHEAST, 0.1)) == pytest.approx(0.4)
    assert float(losses.recovered_identity(EAST, WEST, 0.1)) == pytest.approx(0.9)


def test_pixels_are_summed_over_outputs() -> None:
    zero = torch.zeros(2, 3, 4, 4)
    assert float(losses.pixels(zero, [zero + 0.5, zero - 0.25])) == pytest.approx(0.75)


def test_only_eyes_nose_and_mouth_count_in_parsing() -> None:
    original = torch.zeros(1, 19, 2, 2)
    hair, mouth = original.clone(), original.clone()
    hair[:, CLASSES.index("hair")] = 5
    mouth[:, CLASSES.index("mouth")] = 3
    assert float(losses.parsing(original, [hair])) == 0
    assert float(losses.parsing(original, [hair, mouth, mouth])) == pytest.approx(2 * 9 / 19)


def test_a_step_compares_what_the_authors_compare() -> None:
    """Against their sums, written down pair by pair over the images that were rendered."""
    training, batch = toy_training(weights={"intra": 1, "parsing": 0.1}), face_batch()
    teachers = training.teachers
    with Calls(teachers.generator) as rendered, Calls(training.encryptor) as encryptor:
        values = training.step(batch, 0)
    original, outputs = rendered.results
    x, (e1, e2, d, r1, r2) = original, outputs.split(COUNT)
    with torch.no_grad():
        who = {id(image): teachers.identities(image) for image in (x, e1, e2, d, r1, r2)}
        parts = {id(image): teachers.parse(image) for image in (x, e1, e2, d, r1, r2)}
        lpips = sum(float(teachers.lpips(x, y).mean()) for y in (e1, e2, d, r1, r2))

    def cosine(a: Tensor, b: Tensor, floor: float = 0.1) -> float:
        alike = functional.cosine_similarity(who[id(a)], who[id(b)])
        return float(alike.clamp(min=floor).mean())

    def parted(a: Tensor, b: Tensor) -> float:
        numbers = [4, 5, 10, 11, 12, 13]
        apart = (parts[id(a)] - parts[id(b)]).square().mean(dim=(0, 2, 3))
        return float(apart[numbers].sum() / 19)

    wrong = [(d, r1), (d, r2), (x, r1), (x, r2), (r1, r2)]
    expected = {
        "perceptual": lpips,
        "encryption": sum(cosine(a, b) for a, b in [(x, e1), (x, e2), (e1, e2)]) / 3,
        "decryption": sum(cosine(a, b) for a, b in wrong) / 5,
        "recovered_identity": 1 - cosine(x, d),
        "pixels": sum(float((x - y).abs().mean()) for y in (e1, e2, d, r1, r2)),
        "parsing": sum(parted(x, y) for y in (e1, e2, d, r1, r2)),
        "cosine": cosine(x, e1, -1),
        "recovered cosine": cosine(x, d, -1),
        "wrong cosine": cosine(x, r1, -1),
    }
    assert values == pytest.approx(expected, rel=1e-3, abs=1e-5)
    (codes, first), (kept, second) = encryptor.arguments
    latents = teachers.invert(batch.images)
    assert torch.equal(codes, torch.cat([latents, latents]))
    assert torch.equal(kept, torch.cat([encryptor.results[0][:COUNT]] * 3)), "the first encryption"
    passwords = torch.cat([first, second[COUNT:]])
    assert torch.equal(second[:COUNT], first[:COUNT]), "recovered under its own password"
    assert len(passwords.unique(dim=0)) == 4 * COUNT, "all others are different ones"
    assert torch.equal(rendered.arguments[0][0], latents), "the original is the inverted one"


def test_steps_lower_the_total_loss() -> None:
    training, batch, weights = toy_training(learning_rate=2e-3), face_batch(), Weights()
    totals = []
    for step in range(7):
        torch.manual_seed(0)
        values = training.step(batch, step)
        totals.append(sum(w * values[name] for name, w in weights.of_losses().items()))
    assert totals[-1] < totals[0] - 0.1, totals


def test_only_the_encryptor_learns() -> None:
    training = toy_training(weights={"parsing": 0.1})
    teachers = training.teachers
    before = {key: value.clone() for key, value in teachers.state_dict().items()}
    was = {key: value.clone() for key, value in training.encryptor.eval().state_dict().items()}
    training.step(face_batch(), 0)
    assert training.encryptor.training, "with its dropout on"
    assert all(p.grad is None and not p.requires_grad for p in teachers.parameters())
    assert all(torch.equal(value, before[key]) for key, value in teachers.state_dict().items())
    assert not any(module.training for module in teachers.modules())
    still = [k for k, v in training.encryptor.state_dict().items() if torch.equal(v, was[k])]
    assert still == [], "all of it does"


def test_what_weighs_nothing_is_not_parsed_and_does_not_pull() -> None:
    training = toy_training(weights={"parsing": 0, "perceptual": 0, "pixels": 0})
    with Calls(training.teachers.parser) as parser:
        values = training.step(face_batch(), 0)
    assert not parser.results and "parsing" not in values
    assert values["perceptual"] > 0, "it is in the log all the same"
    identities = ("encryption", "decryption", "recovered_identity")
    assert training.settings.weights.of_losses() == dict.fromkeys(identities, 1.0)


def test_preview_shows_crop_encrypted_and_recovered_and_leaves_no_trace() -> None:
    training, batch = toy_training(), face_batch()
    with torch.no_grad(), Calls(training.teachers.generator) as rendered:
        pictures = training.preview(batch)
    assert pictures.shape == (COUNT, 3, 3, 256, 256)
    assert torch.equal(pictures[:, 0], batch.images)
    for column, image in enumerate(rendered.results, start=1):
        assert torch.equal(pictures[:, column], (image / 2 + 0.5).clamp(0, 1))
    assert training.encryptor.training and len(rendered.results) == 2
    encrypted, recovered = (arguments[0] for arguments in rendered.arguments)
    training.encryptor.eval()
    torch.manual_seed(0)
    password = training.teachers.passwords(COUNT)
    assert encrypted.shape == recovered.shape == (COUNT, 14, 512)
    with torch.no_grad(), Calls(training.teachers.generator) as again:
        torch.manual_seed(0)
        training.preview(batch)
    expected = training.encryptor(training.teachers.invert(batch.images), password)
    assert torch.allclose(again.arguments[0][0], expected, atol=1e-5)
    decrypted = training.encryptor(expected, password)
    assert torch.allclose(again.arguments[1][0], decrypted, atol=1e-5)


def train(folder: Path, steps: int, state: Any = None) -> tuple[list[dict[str, float]], Path]:
    training = toy_training(weights={"intra": 0.5})
    run = Run(steps=steps, batch=1, seed=3, checkpoint_every=2, preview_every=3)
    return traced(training, "riddle", face_crops(), run, folder, state)


def test_a_resumed_training_goes_on_exactly(tmp_path: Path) -> None:
    whole, _ = train(tmp_path / "whole", 4)
    first, checkpoint = train(tmp_path / "parts", 2)
    state = torch.load(checkpoint, weights_only=True)
    assert state["modules"].keys() == state["optimizers"].keys() == {"encryptor"}
    second, _ = train(tmp_path / "parts", 4, state)
    assert first + second == whole
    one, other = (load_file(tmp_path / name / MODEL) for name in ("whole", "parts"))
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
    load_state(LatentEncryptor(), one, source="the export")
    assert (tmp_path / "whole" / "samples" / "step-00000003.png").is_file()


def test_the_authors_settings_come_with_it() -> None:
    config = load_config("riddle", "paper")
    assert config.training == Settings(), "the defaults are the authors'"
    assert (config.run.steps, config.run.batch, config.run.ema) == (100_000, 4, 0)
    assert config.data.template == "ffhq-256"
    assert Settings().weights.of_losses() == {
        **dict.fromkeys(("perceptual", "encryption", "decryption", "recovered_identity"), 1.0),
        "pixels": 0.05,
    }


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("floor = 1.5", r"training\.floor: Input should be less than or equal to 1"),
        ("learning_rate = 0", r"training\.learning_rate: Input should be greater than 0"),
        ("weights = { lpips = 1 }", r"training\.weights\.lpips: Extra inputs are not permitted"),
        ("weights = { pixels = -1 }", r"training\.weights\.pixels: Input should be greater"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        f"""method = {{ name = "riddle" }}
run = {{ steps = 1, batch = 1 }}
data = {{ template = "ffhq-256", sources = [{{ dataset = "folder" }}] }}
[training]
{line}
"""
    )
    with pytest.raises(BadConfig, match=said):
        load_config("riddle", str(path))


def test_something_must_be_trained() -> None:
    nothing = dict.fromkeys(Weights().of_losses(), 0.0)
    with pytest.raises(ValidationError, match="all weights are 0"):
        Settings.model_validate({"weights": {**nothing, "intra": 1}})


def test_crops_of_another_size_are_refused() -> None:
    with pytest.raises(BadConfig, match="256 pixels, but these have 32") as caught:
        toy_training(toy_crops(32))
    assert "data.template = 'ffhq-256'" in caught.value.mend


@pytest.mark.parametrize("parsing", [0.0, 0.1])
def test_all_missing_weights_are_named(anonbench_home: Path, parsing: float) -> None:
    settings = Settings.model_validate({"weights": {"parsing": parsing}})
    with pytest.raises(MissingArtefact) as caught:
        RiddleTraining(settings, Accelerator(cpu=True), face_crops())
    text = f"{caught.value.what} {caught.value.mend}"
    for file in ("550000.pt", "e4e_ffhq_encode_256.pt", "model_ir_se50.pth"):
        assert file in text
    assert ("79999_iter.pth" in text) == (parsing > 0)
    assert "anonbench weights import ir-se50" in text


def test_without_a_parser_nothing_is_parsed() -> None:
    own = toy_training().teachers
    teachers = Teachers(own.inverter, own.generator, own.recogniser, own.lpips)
    with pytest.raises(TypeError, match="without a face parser"):
        teachers.parse(torch.zeros(1, 3, 256, 256))
