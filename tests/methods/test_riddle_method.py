"""RiDDLE as two methods: codes, passwords, what is kept and recovered, and the authors' files."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from network_facts import millions, on_meta
from rich.console import Console
from riddle_world import LEVELS, SIZES, Files, files, load_narrow
from torch import Tensor

from anonbench import registry, weights
from anonbench.data.align import template
from anonbench.data.images import encode_png
from anonbench.engine.channel import to_uint8
from anonbench.engine.job import RunConfig
from anonbench.engine.plan import plan
from anonbench.engine.progress import Progress
from anonbench.engine.run import run as run_jobs
from anonbench.errors import BadData, MissingArtefact
from anonbench.generative.models import drawn_noise
from anonbench.interfaces import KeepsLatent
from anonbench.nets.e4e import E4e, Inverter
from anonbench.nets.state import load_state
from anonbench.nets.stylegan2 import Generator, Sizes
from anonbench.results.record import Result
from anonbench.testing import check_method, failures
from anonbench.testing.inputs import synthetic_faces
from anonbench.values import sample_key
from anonbench.weights.convert import save
from anonbench_riddle.method import Riddle, RiddleReinvert
from anonbench_riddle.networks import LatentEncryptor

__all__ = ["files"]

KEYS = [sample_key(0, name) for name in "ab"]
OTHER_KEYS = [sample_key(1, name) for name in "ab"]


@pytest.fixture(scope="module")
def home(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder with the three files, and methods built at their size."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("ANONBENCH_HOME", str(folder))
        patch.setattr("anonbench_riddle.method.load_networks", load_narrow)
        files.import_all()
        yield folder


@pytest.fixture(scope="module")
def method(home: Path) -> Riddle:
    return Riddle(registry.methods.parse("riddle"), "cpu")


@pytest.fixture(scope="module")
def reinverting(home: Path) -> RiddleReinvert:
    return RiddleReinvert(registry.methods.parse("riddle-reinvert"), "cpu")


@pytest.fixture(scope="module")
def faces() -> Tensor:
    return synthetic_faces(2, 256)


@pytest.fixture(scope="module")
def kept(method: Riddle, faces: Tensor) -> tuple[Tensor, Tensor]:
    """Published images and their latents, under `KEYS`."""
    return method.anonymize_with_latent(faces, KEYS)


class Authors:
    """The way of the authors' test script, on networks built here: what must come out."""

    def __init__(self, files: Files) -> None:
        self.encryptor, self.generator = LatentEncryptor().eval(), Generator(SIZES).eval()
        self.encoder = E4e(levels=LEVELS).eval()
        self.latent_avg = files.latent_avg
        load_state(self.encryptor, files.states["riddle"])
        load_state(self.generator, files.states["stylegan2-ffhq-256"])
        load_state(self.encoder, files.states["e4e-ffhq-256"])

    def codes(self, images: Tensor) -> Tensor:
        return self.encoder(images) + self.latent_avg

    def under(self, codes: Tensor, z: Tensor) -> Tensor:
        return self.encryptor(codes, self.generator.style(z))

    def draw(self, codes: Tensor) -> Tensor:
        noise = [getattr(self.generator.noises, f"noise_{layer}") for layer in range(13)]
        return (self.generator(codes, noise) * 0.5 + 0.5).clamp(0, 1)


@pytest.fixture(scope="module")
def authors(files: Files) -> Authors:
    return Authors(files)


# --------------------------------------------------------------------------------- conformance
@pytest.mark.parametrize("name", ["riddle", "riddle-reinvert"])
def test_keeps_every_promise(home: Path, name: str) -> None:
    checks = check_method(name)
    assert failures(checks) == []
    passed = {check.name for check in checks if check.passed}
    assert {"anonymize: keys", "recover: honest", "recover: keys", "recover: batch size"} <= passed


# ------------------------------------------------------------------------------------- the way
@torch.no_grad()
def test_it_goes_the_authors_way(
    method: Riddle, authors: Authors, faces: Tensor, kept: tuple[Tensor, Tensor]
) -> None:
    z = drawn_noise(KEYS, 512)
    encrypted = authors.under(authors.codes(faces), z)
    published, latents = kept
    assert latents.shape == (2, 14, 512) and latents.dtype == torch.float32
    torch.testing.assert_close(latents, encrypted)
    torch.testing.assert_close(published, authors.draw(encrypted))
    assert torch.equal(published, method.anonymize(faces, KEYS))
    recovered = authors.draw(authors.under(encrypted, z))
    torch.testing.assert_close(method.recover_from_latent(latents, KEYS), recovered)


@torch.no_grad()
def test_without_the_latent_the_published_image_is_inverted(
    method: Riddle,
    reinverting: RiddleReinvert,
    authors: Authors,
    faces: Tensor,
    kept: tuple[Tensor, Tensor],
) -> None:
    published, _ = kept
    assert torch.equal(published, reinverting.anonymize(faces, KEYS))
    codes = authors.under(authors.codes(published), drawn_noise(KEYS, 512))
    recovered = reinverting.recover(published, KEYS)
    torch.testing.assert_close(recovered, authors.draw(codes))
    assert torch.equal(recovered, method.recover(published, KEYS))
    assert not isinstance(reinverting, KeepsLatent)


@torch.no_grad()
def test_the_inversion_alone_is_what_authors_compare_with(
    method: Riddle, authors: Authors, faces: Tensor
) -> None:
    relative = authors.encoder(faces[:1])
    inverted = method.invert(faces[:1])
    torch.testing.assert_close(inverted, authors.draw(relative + authors.latent_avg))
    assert (inverted - authors.draw(relative)).abs().mean() > 0.01


def test_the_noise_is_that_of_the_file(
    method: Riddle, kept: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    latents = kept[1][:1]
    before = method.recover_from_latent(latents, KEYS[:1])
    noise = method._networks.generator.noises.noise_4
    monkeypatch.setattr(noise, "data", noise.flip(2))
    assert not torch.equal(method.recover_from_latent(latents, KEYS[:1]), before)


# ---------------------------------------------------------------------------------- in a run
@pytest.fixture
def aligned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[str, Tensor]]:
    """A folder of two people, whose images count as aligned crops; and these by their ids."""
    parse = registry.datasets.parse
    monkeypatch.setattr(
        registry.datasets,
        "parse",
        lambda spec, suite="": parse(spec).model_copy(update={"aligned": "ffhq"}),
    )
    crops = dict(zip(("a/0.png", "b/0.png"), synthetic_faces(2, 256), strict=True))
    for name, crop in crops.items():
        path = tmp_path / "people" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(to_uint8(crop.permute(1, 2, 0).numpy())))
    return tmp_path / "people", crops


def test_a_run_recovers_from_stored_codes_and_from_the_published_image(
    method: Riddle, aligned: tuple[Path, dict[str, Tensor]], tmp_path: Path
) -> None:
    root, crops = aligned
    config = RunConfig(
        methods=("riddle", "riddle-reinvert"),
        protocols=("recovery:images=all:bootstrap=100", "key-sensitivity:images=all:bootstrap=100"),
        dataset="folder",
        judges=("toy-perceptual", "toy-recogniser"),
        detector="toy-detector",
        data_root=root,
        output=tmp_path / "runs",
        channel="jpeg:5",
        workers=1,
        device="cpu",
    )
    outcomes = run_jobs(plan(config), config, Progress(Console(stderr=True)))
    assert [outcome.error for outcome in outcomes] == [None] * 4
    kept, image, *under_wrong_keys = outcomes
    detail = kept.result.counts[""].detail
    assert detail["images recovered from a stored latent"] == 2
    assert detail["bytes of latent kept per image"] == 14 * 512 * 4
    faces, keys = torch.stack(list(crops.values())), [sample_key(0, name) for name in crops]
    recovered = method.recover_from_latent(method.anonymize_with_latent(faces, keys)[1], keys)
    expected = float((recovered - faces).abs().mean())
    assert metric(kept.result, "mae") == pytest.approx(expected, abs=1e-3)  # 8 bits
    assert metric(image.result, "mae") != pytest.approx(expected, abs=1e-3)
    assert kept.result.method.weights["riddle"].startswith("test fill ")
    for outcome in under_wrong_keys:
        assert metric(outcome.result, "wrong-key-mae") > metric(outcome.result, "flip-1-mae") > 0


def metric(result: Result, name: str) -> float:
    return next(one.value for one in result.metrics if one.name == name)


# ----------------------------------------------------------------------------------- passwords
def test_a_wrong_key_gives_another_image(method: Riddle, kept: tuple[Tensor, Tensor]) -> None:
    published, latents = kept
    for given, run in ((latents, method.recover_from_latent), (published, method.recover)):
        right, wrong = run(given, KEYS), run(given, OTHER_KEYS)
        assert (right - wrong).abs().mean(dim=(1, 2, 3)).min() > 1e-3
        mixed = run(given, [KEYS[0], OTHER_KEYS[1]])
        torch.testing.assert_close(mixed, torch.stack([right[0], wrong[1]]), rtol=0, atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("name", ["riddle", "riddle-reinvert"])
def test_a_wrong_bit_turns_the_sign_of_its_number(
    method: Riddle,
    reinverting: RiddleReinvert,
    authors: Authors,
    kept: tuple[Tensor, Tensor],
    name: str,
) -> None:
    published, latents = kept
    tried = method if name == "riddle" else reinverting
    given, codes = (latents, latents) if tried is method else (published, authors.codes(published))
    wrong = torch.zeros(2, tried.card.password_bits, dtype=torch.bool)
    right = tried.recover_with_wrong_bits(given, KEYS, wrong)
    recover = method.recover_from_latent if tried is method else tried.recover
    torch.testing.assert_close(right, recover(given, KEYS))
    wrong[0, 3] = wrong[1, :] = True
    z = drawn_noise(KEYS, 512)
    z[0, 3] *= -1
    z[1] *= -1
    found = tried.recover_with_wrong_bits(given, KEYS, wrong)
    torch.testing.assert_close(found, authors.draw(authors.under(codes, z)))
    differences = (found - right).abs().mean(dim=(1, 2, 3))
    assert 0 < differences[0] < differences[1]


# ------------------------------------------------------------------------------------- weights
def test_missing_weights_are_one_error_that_names_all_three(anonbench_home: Path) -> None:
    with pytest.raises(MissingArtefact) as caught:
        registry.methods.load("riddle")(registry.methods.parse("riddle"), "cpu")
    text = str(caught.value)
    for name, file in {
        "riddle": "iteration_90000.pt",
        "e4e-ffhq-256": "e4e_ffhq_encode_256.pt",
        "stylegan2-ffhq-256": "550000.pt",
    }.items():
        assert f"\n    {file}: https://github.com/" in text
        assert f"anonbench weights import {name} {file}" in text
    assert text.count("https://github.com/ldz666666/RiDDLE (README: Baidu; issue 16") == 3
    assert "stylegan2-ffhq-256.pt" in text


def test_the_encryptor_is_imported_key_for_key(home: Path, files: Files, method: Riddle) -> None:
    loaded = method._networks.encryptor.state_dict()
    assert list(loaded) == list(files.states["riddle"])
    assert all(torch.equal(loaded[key], value) for key, value in files.states["riddle"].items())
    assert weights.record("riddle").startswith("test fill ")


def test_an_encryptor_that_does_not_fit_is_refused(
    anonbench_home: Path, tmp_path: Path, files: Files
) -> None:
    first, second, *_ = files.states["riddle"]
    changed = {**files.states["riddle"], second: torch.ones(7), "surplus": torch.ones(1)}
    del changed[first]
    torch.save({"mapper_state_dict": changed}, tmp_path / "changed.pt")
    with pytest.raises(BadData) as caught:
        weights.import_file("riddle", tmp_path / "changed.pt")
    text = str(caught.value)
    assert f"1 missing: {first}." in text
    assert "1 unexpected: surplus." in text
    assert f"1 of another shape: {second} [7] instead of" in text
    with pytest.raises(BadData, match=r"no entry 'mapper_state_dict'.*g_ema"):
        weights.import_file("riddle", files.generator)
    assert not weights.is_present("riddle")


def test_a_stylegan2_of_1024_pixels_is_refused(anonbench_home: Path, tmp_path: Path) -> None:
    shapes = on_meta(lambda: Generator(Sizes(1024))).state_dict()
    state = {key: torch.zeros(()).expand(value.shape) for key, value in shapes.items()}
    torch.save({"g_ema": state}, tmp_path / "stylegan2-ffhq-config-f.pt")
    with pytest.raises(BadData, match=r"StyleGAN2 for 1024 pixels, not for 256\..*18 style codes"):
        weights.import_file("stylegan2-ffhq-256", tmp_path / "stylegan2-ffhq-config-f.pt")


def test_an_e4e_of_1024_pixels_is_refused(anonbench_home: Path, tmp_path: Path) -> None:
    state = {f"encoder.styles.{n}.linear.bias": torch.zeros(512) for n in range(18)}
    torch.save({"state_dict": state, "latent_avg": torch.zeros(18, 512)}, tmp_path / "e4e.pt")
    with pytest.raises(BadData, match=r"18 x 512 codes, not the 14 x 512.*e4e_ffhq_encode_256\.pt"):
        weights.import_file("e4e-ffhq-256", tmp_path / "e4e.pt")


def test_an_e4e_of_another_generator_is_refused(method: Riddle) -> None:
    inverter, generator = method._networks.inverter, method._networks.generator
    inverter.require_generator(generator)
    tuned, other = Generator(SIZES), Generator(SIZES)
    tuned.input.input.data.copy_(generator.input.input * 0.9 + 0.1)
    inverter.require_generator(tuned)
    with pytest.raises(BadData, match="e4e and that of StyleGAN2 do not belong together"):
        inverter.require_generator(other)


def test_loading_looks_whether_both_belong_together(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Generator] = []
    monkeypatch.setattr(Inverter, "require_generator", lambda self, net: seen.append(net))
    assert seen == [load_narrow("", "cpu").generator]


def test_an_encryptor_of_the_users_takes_the_authors_place(
    home: Path, tmp_path: Path, files: Files, faces: Tensor, method: Riddle
) -> None:
    own = {key: value * 0.5 for key, value in files.states["riddle"].items()}
    save(own, tmp_path / "model.safetensors")
    card = registry.methods.parse(f"riddle:encryptor={tmp_path / 'model.safetensors'}")
    assert card.weights == ("e4e-ffhq-256", "stylegan2-ffhq-256")
    trained = Riddle(card, "cpu")
    assert torch.equal(trained.invert(faces), method.invert(faces))
    assert not torch.equal(trained.anonymize(faces, KEYS), method.anonymize(faces, KEYS))
    with pytest.raises(BadData, match=r"anonbench train riddle"):
        Riddle(registry.methods.parse(f"riddle:encryptor={tmp_path / 'none'}"), "cpu")


# ------------------------------------------------------------------------------ card and parts
def test_cards_say_what_recovery_takes() -> None:
    kept, image = (registry.methods.card(name) for name in ("riddle", "riddle-reinvert"))
    assert kept.needs_latent and not image.needs_latent
    assert {kept.family, image.family} == {"riddle"}
    assert kept.password_bits == image.password_bits == 512
    assert "fails, by the authors' own word" in image.summary
    assert template(kept.template).size == 256


def test_a_crop_of_another_size_is_refused(method: Riddle) -> None:
    with pytest.raises(BadData, match=r"256 x 256 pixels, not 3 x 128 x 128.*ffhq-256"):
        method.anonymize(synthetic_faces(2, 128), KEYS)


def test_its_parts_are_what_papers_count(anonbench_home: Path) -> None:
    parts = {part.name: part for part in Riddle.parts(registry.methods.card("riddle"))}
    core = [part.module for part in parts.values() if part.core]
    assert sum(millions(net) for net in core) == pytest.approx(40.03, abs=5e-3)
    assert millions(parts["e4e"].module) == pytest.approx(209.451, abs=5e-4)
    assert not parts["e4e"].core
    assert not any(p.requires_grad for p in parts["e4e"].module.parameters())
    for part in parts.values():
        assert part.module.to("meta")(*on_device(part.inputs, "meta")).shape[0] == 1


def on_device(values: Sequence[Any], device: str) -> list[Any]:
    return [v.to(device) if isinstance(v, Tensor) else on_device(v, device) for v in values]
