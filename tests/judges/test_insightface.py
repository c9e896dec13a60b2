"""insightface's recognisers, with tiny models in the place of real ones, and fr-feature's file."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from onnx_bytes import recogniser
from torch import Tensor

from anonbench import registry
from anonbench.engine.job import _judge_ref
from anonbench.errors import BadConfig, BadData, MissingArtefact, MissingExtra, UserError
from anonbench.interfaces import Recogniser


def build(settings: str) -> Recogniser:
    card = registry.judges.parse(f"insightface:{settings}" if settings else "insightface")
    judge: Recogniser = registry.judges.load("insightface")(card, "cpu")
    return judge


def written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def crops() -> Tensor:
    return torch.rand(3, 3, 112, 112, generator=torch.Generator().manual_seed(0))


def means(crops: Tensor, mean: float = 127.5, std: float = 127.5) -> Tensor:
    """What the tiny model gives for crops that are scaled so."""
    return (crops * 255 - mean).mean(dim=(2, 3)) / std


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which insightface keeps its packs."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / ".insightface/models"


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in for the package: it prints, and tells recognisers by their file's name."""

    def get_model(name: str, providers: list[str]) -> Any:
        print("Applied providers:", providers)
        if "det" in name:
            return SimpleNamespace(taskname="detection")
        return SimpleNamespace(taskname="recognition", input_mean=0.0, input_std=1.0)

    zoo = ModuleType("insightface.model_zoo")
    zoo.get_model = get_model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "insightface", ModuleType("insightface"))
    monkeypatch.setitem(sys.modules, "insightface.model_zoo", zoo)


# ------------------------------------------------------------------------------------- a file
@pytest.mark.parametrize("batch", ["N", 1])
def test_a_file_sees_rgb_scaled_as_insightface_does(
    tmp_path: Path, crops: Tensor, batch: int | str
) -> None:
    file = written(tmp_path / "r.onnx", recogniser((batch, 3, 112, 112)))
    judge = build(f"file={file}")
    assert judge.card.dim == 3
    torch.testing.assert_close(judge.embed(crops), means(crops), rtol=0, atol=1e-5)
    assert judge.embed(crops[:0]).shape == (0, 3)


def test_a_model_that_scales_inside_is_given_its_settings(tmp_path: Path, crops: Tensor) -> None:
    file = written(tmp_path / "r.onnx", recogniser())
    found = build(f"file={file}:mean=0:std=1").embed(crops)
    torch.testing.assert_close(found, means(crops, 0, 1), rtol=0, atol=1e-3)


def test_flip_adds_the_mirrored_crop(tmp_path: Path, crops: Tensor) -> None:
    file = written(tmp_path / "r.onnx", recogniser())
    found = build(f"file={file}:flip=true").embed(crops)
    torch.testing.assert_close(found, 2 * means(crops), rtol=0, atol=1e-5)


@torch.inference_mode()
def test_a_real_recogniser_embeds_as_it_does_by_itself(
    artefact: Callable[[str], Path], crops: Tensor
) -> None:
    file = artefact("fr-feature")
    card = registry.judges.card("fr-feature")
    expected = registry.judges.load("fr-feature")(card, "cpu").embed(crops)
    judge = build(f"file={file}:mean=127:std=128")
    assert judge.card.dim == 512
    torch.testing.assert_close(judge.embed(crops), expected, rtol=0, atol=1e-5)
    alone = torch.cat([judge.embed(crop[None]) for crop in crops])
    torch.testing.assert_close(judge.embed(crops), alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "content",
    [
        recogniser(("N", 3, 96, 96)),
        recogniser(("N", 1, 112, 112)),
        recogniser((8, 3, 112, 112)),
        recogniser(outputs=("boxes", "scores")),
    ],
    ids=["96 pixels", "grey", "batch of 8", "two outputs"],
)
def test_a_model_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    file = written(tmp_path / "other.onnx", content)
    with pytest.raises(BadData, match=r"other\.onnx is no recogniser of RGB crops of 112 x 112"):
        build(f"file={file}")


@pytest.mark.parametrize("content", [b"", b"<html>", recogniser()[:-40]])
def test_a_damaged_file_gives_one_clear_error(tmp_path: Path, content: bytes) -> None:
    file = written(tmp_path / "damaged.onnx", content)
    with pytest.raises(BadData, match=r"insightface cannot open .*damaged\.onnx"):
        build(f"file={file}")


# ------------------------------------------------------------------------------------- a pack
def test_the_package_says_which_file_of_a_pack_recognises(
    models: Path, package: None, crops: Tensor, capsys: pytest.CaptureFixture[str]
) -> None:
    written(models / "buffalo_x/det_10g.onnx", recogniser(outputs=("boxes", "scores")))
    written(models / "buffalo_x/w600k.onnx", recogniser())
    found = build("pack=buffalo_x").embed(crops)
    torch.testing.assert_close(found, means(crops, 0, 1), rtol=0, atol=1e-3)
    assert capsys.readouterr().out == ""


def test_a_pack_of_two_recognisers_or_none_is_refused(models: Path, package: None) -> None:
    for name in ("a_r50.onnx", "b_r100.onnx"):
        written(models / "two" / name, recogniser())
    with pytest.raises(BadData, match=r"2 recognisers: a_r50\.onnx, b_r100\.onnx.*file=PATH"):
        build("pack=two")
    written(models / "none/det.onnx", recogniser())
    with pytest.raises(BadData, match=r"0 recognisers.*It holds det\.onnx"):
        build("pack=none")


def test_without_the_package_a_pack_asks_for_the_extra(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(models / "buffalo_x/w600k.onnx", recogniser())
    monkeypatch.setitem(sys.modules, "insightface", None)
    monkeypatch.delitem(sys.modules, "insightface.model_zoo", raising=False)
    with pytest.raises(MissingExtra, match=r"pip install 'anonbench\[insightface\]'"):
        build("pack=buffalo_x")


def test_the_real_package_agrees(models: Path, crops: Tensor) -> None:
    pytest.importorskip("insightface")
    from insightface.model_zoo import get_model

    file = written(models / "tiny/w600k.onnx", recogniser())
    theirs = get_model(str(file), providers=["CPUExecutionProvider"])
    images = (crops * 255).round().to(torch.uint8)
    bgr = [image.flip(0).permute(1, 2, 0).numpy() for image in images]
    expected = torch.from_numpy(theirs.get_feat(bgr))
    found = build("pack=tiny").embed(images / 255)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


# -------------------------------------------------------------------------- what is named at all
@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ("", BadConfig, r"no weights of its own.*insightface:pack=\.\.\. or insightface:file="),
        ("pack=a", MissingArtefact, r"pack=a is not on this machine.*\.insightface/models/a"),
        ("file=gone.onnx", MissingArtefact, r"There is no gone\.onnx"),
    ],
)
def test_what_is_not_there_is_named_before_anything_is_run(
    models: Path, settings: str, error: type[UserError], message: str
) -> None:
    card = registry.judges.parse(f"insightface:{settings}" if settings else "insightface")
    with pytest.raises(error, match=message):
        _judge_ref(card)
    with pytest.raises(error, match=message):
        build(settings)


def test_a_pack_and_a_file_at_once_are_refused(models: Path, tmp_path: Path) -> None:
    file = written(tmp_path / "r.onnx", recogniser())
    written(models / "a/r.onnx", recogniser())
    with pytest.raises(BadConfig, match="a pack and a file"):
        build(f"pack=a:file={file}")


def test_the_record_names_the_files_by_hash(models: Path, tmp_path: Path) -> None:
    """Equal settings with another file behind them are another judge."""
    file = written(tmp_path / "r.onnx", recogniser())
    card = registry.judges.parse(f"insightface:file={file}")
    before = _judge_ref(card).weights["file"]
    written(file, recogniser(("N", 3, 96, 96)))
    assert _judge_ref(card).weights["file"] != before
    written(models / "a/r.onnx", recogniser())
    weights = _judge_ref(registry.judges.parse("insightface:pack=a")).weights
    assert weights["pack/r.onnx"] == before
