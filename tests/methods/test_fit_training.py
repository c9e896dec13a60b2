"""The training of FIT: its losses by hand, what a step changes, and that a resume is exact."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from generative_world import toy_crops, traced
from safetensors.torch import load_file, save_file
from sklearn.metrics import log_loss
from torch import Tensor, nn

from anonbench import weights
from anonbench.errors import MissingArtefact
from anonbench.generative.swaps import swap
from anonbench.nets.sphereface import AngularLogits, SphereFace20a
from anonbench.training.crops import Crops
from anonbench.training.interfaces import Batch
from anonbench.training.loop import MODEL
from anonbench.training.settings import Run, load_config
from anonbench_fit.critics import Critics, PasswordReader, Pool
from anonbench_fit.losses import angular_loss, least_squares, password_loss
from anonbench_fit.networks import BITS, Generator
from anonbench_fit.recognisers import DlibRecogniser, Recogniser, SphereRecogniser, chips
from anonbench_fit.settings import Settings
from anonbench_fit.training import FitTraining

pytestmark = pytest.mark.usefixtures("small_machine")

SIDE = 64  # the smallest image of which the critics' half is large enough
SMALL = {"width": 4, "blocks": 1, "critic_width": 2, "pool": 6, "learning_rate": 2e-3}
NOTHING = dict.fromkeys(
    (
        *("adversarial", "recognition", "feature", "wrong_feature", "apart", "password"),
        *("likeness", "wrong_likeness", "reconstruction"),
    ),
    0.0,
)


class ToyRecogniser(Recogniser):
    """Sees people in the mean colours of an image's quarters."""

    trained = True

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(12, 8)

    def features(self, images: Tensor, points: Tensor) -> Tensor:
        return self.layer(nn.functional.adaptive_avg_pool2d(images, 2).flatten(1))

    def unseen(self, features: Tensor, batch: Batch, step: int) -> Tensor:
        original = self.features(batch.images * 2 - 1, batch.points)
        return (features - original.detach()).square().mean()

    def seen(self, features: Tensor, batch: Batch, step: int) -> Tensor:
        return -self.unseen(features, batch, step)


def settings(**changed: Any) -> Settings:
    loss = {**NOTHING, **changed.pop("weights", {})} if "weights" in changed else {}
    return Settings.model_validate({**SMALL, "weights": loss, **changed})


def training(chosen: Settings, crops: Crops | None = None) -> FitTraining:
    torch.manual_seed(0)
    return FitTraining(chosen, Accelerator(cpu=True), crops or toy_crops(SIDE), ToyRecogniser())


def toy_batch(count: int = 4) -> Batch:
    crops = toy_crops(SIDE)
    images = torch.from_numpy(crops.images[:count]).permute(0, 3, 1, 2).float() / 255
    return Batch(images, torch.from_numpy(crops.points[:count]), torch.arange(count))


def repeated(one: FitTraining, steps: int) -> list[Mapping[str, float]]:
    """The same batch under the same passwords, again and again."""
    losses = []
    for step in range(steps):
        torch.manual_seed(7)
        losses.append(one.step(toy_batch(), step))
    return losses


def state_of(module: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in module.state_dict().items()}


def changed(before: dict[str, Tensor], module: nn.Module) -> bool:
    return any(not torch.equal(before[key], value) for key, value in module.state_dict().items())


# ---------------------------------------------------------------------------------------- losses
def test_least_squares_by_hand() -> None:
    patches = torch.tensor([[0.5, 1.0]]), torch.tensor([[2.0]])
    assert float(least_squares(patches, real=True)) == pytest.approx(0.125 + 1.0)
    assert float(least_squares(patches, real=False)) == pytest.approx(0.625 + 4.0)


def test_the_password_loss_is_the_log_loss_of_its_hexadecimal_digits() -> None:
    passwords = [0xA03F, 0x0001, 0xFFFF]
    bits = torch.tensor([[c == "1" for c in f"{password:016b}"] for password in passwords])
    logits = torch.randn(3, 4, 16, generator=torch.Generator().manual_seed(1))
    digits = np.array([[int(c, 16) for c in f"{password:04x}"] for password in passwords])
    likely = logits.double().softmax(dim=2).numpy()
    expected = sum(log_loss(digits[:, n], likely[:, n], labels=range(16)) for n in range(4))
    assert float(password_loss(logits, bits)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("calls", "strength"), [(0, 1500 / 1.1), (9, 750.0), (10**6, 5.0)])
def test_the_margin_of_the_angular_loss_grows(calls: int, strength: float) -> None:
    cosine = torch.tensor([[0.9, 0.1, -0.2], [0.3, 0.2, 0.5]])
    margin = torch.tensor([[0.2, -1.0, -2.0], [-2.5, -1.5, -0.7]])
    people = torch.tensor([0, 2])
    expected = 0.0
    for row, person in enumerate(people.tolist()):
        logits = cosine[row].tolist()
        logits[person] = (strength * logits[person] + float(margin[row, person])) / (1 + strength)
        expected += math.log(sum(map(math.exp, logits))) - logits[person]
    found = angular_loss(AngularLogits(cosine, margin), people, calls)
    assert float(found) == pytest.approx(expected / 2, rel=1e-5)


# -------------------------------------------------------------------------------------- networks
def test_critics_are_as_large_as_the_authors() -> None:
    with torch.device("meta"):
        critics, reader = Critics(), PasswordReader()
    normed = [(64, 128), (128, 256), (256, 512)]
    one = 3 * 64 * 16 + 64 + sum(a * b * 16 + 2 * b for a, b in normed) + 512 * 16
    assert sum(p.numel() for p in critics.parameters()) == 4 * one
    front = 6 * 64 * 16 + 64 + sum(a * b * 16 + 2 * b for a, b in normed)
    after = 512 * 512 * 16 + 2 * 512 + 4 * (512 * 16 + 16)
    assert sum(p.numel() for p in reader.parameters()) == front + after


def test_critics_judge_two_sizes_and_share_the_smaller() -> None:
    critics = Critics(2)
    images = torch.randn(2, 3, 128, 128)
    large, small = critics(images, "anonymized")
    assert large.shape == (2, 1, 14, 14) and small.shape == (2, 1, 6, 6)
    other, same = critics(images, "wrongly")
    assert not torch.equal(large, other) and torch.equal(small, same)
    assert PasswordReader(2)(images, images).shape == (2, 4, 16)


def test_a_pool_fills_and_then_mixes() -> None:
    torch.manual_seed(2)
    pool = Pool(4, 8)
    first = (torch.randint(0, 256, (4, 3, 8, 8)).float() / 127.5) - 1
    assert torch.equal(pool.exchange(first, 4), first)
    second = torch.ones(40, 3, 8, 8)
    shown = pool.exchange(second, 40)
    older = sum(any(torch.allclose(one, old, atol=1e-6) for old in first) for one in shown)
    assert older == 4  # all have been shown again, and none twice
    assert len(pool.exchange(second, 3)) == 3
    assert torch.equal(Pool(0, 8).exchange(second, 40), second)


# ------------------------------------------------------------------------------------------ steps
def test_wrong_passwords_are_wrong_and_near_ones_nearly_right() -> None:
    torch.manual_seed(3)
    password = torch.randint(2, (500, BITS)).bool()
    near = training(settings(near=1.0))._wrong(password)
    distances = (near ^ ~password).sum(dim=1)
    assert set(distances.tolist()) == {1, 2}
    far = (training(settings(near=0.0))._wrong(password) ^ ~password).sum(dim=1)
    assert float(far.float().mean()) == pytest.approx(BITS / 2, abs=0.5)
    assert int(far.min()) > 0


def test_reconstruction_alone_learns_to_recover() -> None:
    weight = {"reconstruction": 10.0}
    chosen = settings(weights=weight, quantized=True, width=8, learning_rate=3e-3)
    one, batch = training(chosen), toy_batch()
    judges = {name: state_of(one.modules[name]) for name in ("critics", "reader", "recogniser")}
    first, *_, last = [one.step(batch, step) for step in range(40)]
    assert first.keys() == {"reconstruction", "psnr"}
    assert last["reconstruction"] < 0.8 * first["reconstruction"]
    assert last["psnr"] > first["psnr"] + 1
    assert not any(changed(before, one.modules[name]) for name, before in judges.items())


@pytest.mark.parametrize(
    ("loss", "trains"),
    [
        ("adversarial", {"generator", "critics", "pools"}),
        ("recognition", {"generator", "recogniser"}),
        ("feature", {"generator"}),
        ("wrong_feature", {"generator"}),
        ("apart", {"generator"}),
        ("password", {"generator", "reader"}),
        ("likeness", {"generator"}),
        ("wrong_likeness", {"generator"}),
        ("swap", {"generator"}),
        ("wrong_swap", {"generator"}),
        ("recovered_face", {"generator"}),
    ],
)
def test_what_each_loss_trains(loss: str, trains: set[str]) -> None:
    one = training(settings(weights={loss: 1.0}, donors=2))
    before = {name: state_of(module) for name, module in one.modules.items()}
    values = one.step(toy_batch(), 0)
    assert loss in values and all(map(math.isfinite, values.values()))
    assert {name for name, module in one.modules.items() if changed(before[name], module)} == trains


def test_the_password_reader_learns_to_read() -> None:
    chosen = settings(weights={"password": 1.0}, critic_width=4, learning_rate=5e-3)
    losses = repeated(training(chosen), 15)
    assert losses[-1]["password"] < 0.7 * losses[0]["password"]


def test_the_first_bits_choose_whose_face_is_shown() -> None:
    """Images that show the right swaps have no loss, those that show others have one."""
    crops = toy_crops(SIDE)
    one = training(settings(weights={"swap": 1.0}, donors=4), crops)
    made = one._make(toy_batch(), 0)
    donors, points = one._teachers.donors
    assert donors.shape == (4, 3, SIDE, SIDE)
    right = [int(bits[0]) + 2 * int(bits[1]) for bits in made.given["anonymized"]]
    losses = []
    for chosen in (right, [(place + 1) % 4 for place in right]):
        shown = swap(made.images, made.batch.points, donors[chosen], points[chosen])
        drawn = replace(made, made={**made.made, "anonymized": shown})
        losses.append(float(one._teachers.swapped(drawn, "anonymized")))
    assert losses[0] < 1e-6 and losses[1] > 0.05
    again = training(settings(weights={"swap": 1.0}, donors=4), crops)
    assert torch.equal(donors, again._teachers.donors[0])


def test_a_window_shows_parts_with_their_landmarks() -> None:
    torch.manual_seed(1)
    whole = toy_batch()
    one = training(settings(weights={"likeness": 1.0, "swap": 1.0}, window=48.0, pool=0))
    assert one.step(whole, 0)["swap"] > 0
    corners = set()
    for step in range(20):
        made = one._make(whole, step)
        assert made.images.shape == (4, 3, 48, 48)
        x, y = (whole.points - made.batch.points)[0, 0].int().tolist()
        assert 4 <= x <= 12 and 4 <= y <= 12
        part = whole.images[:, :, y : y + 48, x : x + 48]
        assert torch.allclose(made.batch.images, part)
        corners.add((x, y))
    assert len(corners) > 10
    with pytest.raises(ValueError, match="pool = 0"):
        settings(window=48.0, pool=6)


def test_from_some_step_on_no_batch_decides() -> None:
    one = training(settings(weights={"likeness": 1.0}, fixed_from=1))
    batch = toy_batch()
    alone = Batch(batch.images[:1], batch.points[:1], batch.places[:1])
    one.step(batch, 0)
    torch.manual_seed(1)
    password = torch.randint(2, (4, BITS)).bool()

    def first(of: Batch) -> Tensor:
        with torch.no_grad():
            images = of.images * 2 - 1
            return one._generate(one._stages.anonymizer, images, password[: len(images)])[0]

    assert float((first(batch) - first(alone)).abs().max()) > 0.01
    one.step(batch, 1)
    assert torch.allclose(first(batch), first(alone), atol=1e-5)
    before = first(batch)
    one.step(batch, 2)
    assert not torch.allclose(first(batch), before, atol=1e-5)  # the shared weights are trained
    exported = one.export()
    kept = one.modules["statistics"].state_dict()
    mean = kept["recoverer model/2 running_mean"]
    assert torch.equal(exported["reference.recover.model.2.mean"], mean)


def train(folder: Path, steps: int, state: Any = None) -> tuple[list[dict[str, float]], Path]:
    crops, accelerator = toy_crops(SIDE), Accelerator(cpu=True)
    torch.manual_seed(5)
    chosen = settings(near=0.5, quantized=True, pool=6, fixed_from=1)
    one = FitTraining(chosen, accelerator, crops, ToyRecogniser())
    run = Run(steps=steps, batch=4, seed=3, checkpoint_every=2, preview_every=3, ema=0.5)
    return traced(one, "fit", crops, run, folder, state)


def test_a_resumed_training_goes_on_exactly(tmp_path: Path) -> None:
    whole, _ = train(tmp_path / "whole", 4)
    first, checkpoint = train(tmp_path / "parts", 2)
    state = torch.load(checkpoint, weights_only=True)
    assert state["modules"].keys() == {
        *("generator", "critics", "reader", "pools", "recogniser", "statistics")
    }
    second, _ = train(tmp_path / "parts", 4, state)
    assert first + second == whole
    one, other = (load_file(tmp_path / name / MODEL) for name in ("whole", "parts"))
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
    assert (tmp_path / "whole" / "samples" / "step-00000003.png").is_file()


@pytest.mark.parametrize("name", ["small", "paper"])
def test_the_configurations_that_come_with_it(name: str) -> None:
    config = load_config("fit", name)
    assert config.data.template == "fit-128"
    assert {source.people for source in config.data.sources if source.dataset == "lfw"} <= {
        "unpaired"
    }
    if name == "paper":
        assert config.training == Settings()


# ------------------------------------------------------------------------------------ recognisers
def test_sphereface_tells_the_people_of_the_folders_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    save_file(SphereFace20a(7).state_dict(), tmp_path / "sphere.safetensors")
    monkeypatch.setattr(weights, "require_by_hand", lambda names: None)
    monkeypatch.setattr(weights, "path", lambda name: tmp_path / "sphere.safetensors")
    crops = toy_crops(SIDE, 4)
    named = Crops(
        crops.images, crops.points, crops.repeat, ("b/2.png", "a/1.png", "b/1.png", "c/1.png"), {}
    )
    recogniser = SphereRecogniser(named)
    published = load_file(tmp_path / "sphere.safetensors")
    assert torch.equal(recogniser.net.fc5.weight, published["fc5.weight"])
    batch = toy_batch(4)
    features = recogniser.features(batch.images * 2 - 1, batch.points)
    logits = recogniser.net.classify(features)
    assert logits.cosine.shape == (4, 3)
    expected = angular_loss(logits, torch.tensor([1, 0, 1, 2]), 7 * 5)
    assert float(recogniser.unseen(features, batch, 5).detach()) == pytest.approx(
        float(expected.detach())
    )
    assert float(recogniser.seen(features, batch, 5).detach()) == pytest.approx(
        -float(expected.detach())
    )


def test_sphereface_is_asked_for(anonbench_home: Path) -> None:
    with pytest.raises(MissingArtefact) as caught:
        FitTraining(Settings(), Accelerator(cpu=True), toy_crops(SIDE))
    text = f"{caught.value.what} {caught.value.mend}"
    assert "sphere20a_20171020.pth" in text and "clcarwin/sphereface_pytorch" in text


def test_chips_are_dlibs_own(shared: Path, artefact: Any) -> None:
    """Against `dlib.get_face_chip` by dlib's 5-point predictor, and the features of both."""
    import dlib
    from PIL import Image

    name = "Aaron_Peirsol/Aaron_Peirsol_0001.jpg"
    pixels = np.array(Image.open(shared / "data/lfw/lfw-deepfunneled" / name).convert("RGB"))
    box = dlib.get_frontal_face_detector()(pixels)[0]
    five = dlib.shape_predictor(str(artefact("dlib-shape-predictor-5")))(pixels, box)
    shape = dlib.shape_predictor(str(artefact("dlib-shape-predictor-68")))(pixels, box)
    points = torch.tensor([[[p.x, p.y] for p in shape.parts()]]).float()
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    theirs = torch.from_numpy(dlib.get_face_chip(pixels, five)).permute(2, 0, 1)[None].float()
    ours = (chips(image, points) + 1) * 127.5
    assert float((ours - theirs).abs().mean()) < 8  # the predictors disagree by a pixel or so
    artefact("dlib-resnet")
    recogniser = DlibRecogniser()
    net = recogniser._net[0]
    apart = recogniser.features(image, points) - net(theirs / 255)
    assert float(apart.norm()) < 0.3  # 0.6 is dlib's border between two people
    batch = Batch(image / 2 + 0.5, points, torch.zeros(1, dtype=torch.long))
    features = recogniser.features(image, points)
    assert float(recogniser.unseen(features, batch, 0)) < 2e-3
    assert float(recogniser.seen(features, batch, 0)) == pytest.approx(0.8, abs=2e-3)


def test_the_generator_of_a_state_dict() -> None:
    state = Generator(4, 2).state_dict()
    assert {k: v.shape for k, v in Generator.of_state(state).state_dict().items()} == {
        key: value.shape for key, value in state.items()
    }
