"""The papers' recognisers: files as their authors publish them, filled by rule, imported, judging.

What they embed is compared with the parity fixtures, which the authors' code computed.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from anonbench import registry, weights
from anonbench.data.align import template
from anonbench.errors import BadData, MissingArtefact
from anonbench.interfaces import Recogniser
from anonbench.nets.iresnet import IResNet
from anonbench.testing.fill import TensorSpec, fill
from anonbench.testing.fixtures import Fixture, read_fixture, read_layout
from anonbench.weights import catalogue, import_file

NAMES = (
    "facenet-vggface2",
    "facenet-casia",
    "arcface-r50-ms1mv3",
    "arcface-r100-ms1mv3",
    "adaface-ir101-webface12m",
)
State = dict[str, Tensor]


def filled(kit: Path, model: str, network: str, classes: int = 0) -> State:
    """A state of the kit, its classifier with another number of classes."""
    layout = read_layout(kit, model)
    spec = layout.networks[network]
    specs = [
        s._replace(shape=(classes, *s.shape[1:])) if s.key.startswith("logits.") else s
        for s in spec.state
    ]
    arrays = fill(specs, layout.seed, spec.rules, spec.constants)
    return {key: torch.from_numpy(array) for key, array in arrays.items()}


def filled_r100(kit: Path) -> State:
    """IResNet-100, of which the kit has no fixture, by the rules of IResNet-50."""
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in IResNet(100).state_dict().items()}
    specs = [
        TensorSpec(key, shape, "int64" if key.endswith("num_batches_tracked") else "float32")
        for key, shape in shapes.items()
    ]
    rules = read_layout(kit, "arcface_r50").networks["backbone"].rules
    return {key: torch.from_numpy(array) for key, array in fill(specs, 0, rules).items()}


def published(kit: Path, name: str) -> Any:
    """The content of the file that the authors publish."""
    if name.startswith("facenet"):
        return filled(kit, "facenet", "net", 8631 if name.endswith("vggface2") else 10575)
    if name == "arcface-r50-ms1mv3":
        return filled(kit, "arcface_r50", "backbone")
    if name == "arcface-r100-ms1mv3":
        return filled_r100(kit)
    model = filled(kit, "adaface_ir101", "model")
    head = {"head.kernel": torch.ones(512, 4), "head.t": torch.zeros(1)}
    state = {**{f"model.{key}": value for key, value in model.items()}, **head}
    return {"epoch": 25, "state_dict": state, "hyper_parameters": {"m": 0.4, "arch": "ir_101"}}


@pytest.fixture(scope="module")
def kit(shared: Path) -> Path:
    return shared / "parity"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("ANONBENCH_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def judge(kit: Path, home: Path) -> Callable[..., Recogniser]:
    """Imports the published file once, then builds the judge that a user would name."""

    def build(spec: str) -> Recogniser:
        name = spec.partition(":")[0]
        card = registry.judges.parse(spec)
        if not weights.is_present(card.weights[0]):
            file = home / catalogue()[card.weights[0]].parts[0].file
            torch.save(published(kit, name), file)
            import_file(card.weights[0], file)
            file.unlink()
        built: Recogniser = registry.judges.load(name)(card, "cpu")
        return built

    return build


def crops_of(fixture: Fixture, name: str) -> Tensor:
    return torch.from_numpy(fixture.inputs[name]).float() / 255


def assert_as_published(found: Tensor, fixture: Fixture, *names: str) -> None:
    """The sum of these outputs of the authors' code, within the fixture's tolerance."""
    info = fixture.layout.fixtures[names[0]]
    assert isinstance(info.tolerance, float)
    expected = sum(fixture.outputs[name] for name in names)
    error = np.abs(found.numpy() - expected).max() / info.scale
    assert error < info.tolerance * len(names)


@pytest.mark.parametrize("name", ["facenet-vggface2", "facenet-casia"])
@torch.inference_mode()
def test_facenet_embeds_as_published(
    judge: Callable[..., Recogniser], kit: Path, name: str
) -> None:
    fixture = read_fixture(kit, "facenet")
    crops = crops_of(fixture, "images")
    plain = judge(name).embed(crops)
    assert_as_published(plain, fixture, "embedding")
    both = judge(f"{name}:flip=true").embed(crops)
    mirrored = judge(name).embed(crops.flip(3))
    torch.testing.assert_close(both, plain + mirrored, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_arcface_adds_the_mirrored_crop_as_insightface_evaluates(
    judge: Callable[..., Recogniser], kit: Path
) -> None:
    fixture = read_fixture(kit, "arcface_r50")
    crops = crops_of(fixture, "images112")
    both = judge("arcface-r50-ms1mv3").embed(crops)
    assert_as_published(both, fixture, "embedding112", "embedding112_flip")
    plain = judge("arcface-r50-ms1mv3:flip=false").embed(crops)
    assert_as_published(plain, fixture, "embedding112")


@torch.inference_mode()
def test_adaface_adds_embeddings_as_long_as_they_are(
    judge: Callable[..., Recogniser], kit: Path
) -> None:
    fixture = read_fixture(kit, "adaface_ir101")
    crops = crops_of(fixture, "images")
    plain = judge("adaface-ir101-webface12m:flip=false")
    embeddings = plain.embed(crops)
    norms = embeddings.norm(dim=1, keepdim=True)
    assert_as_published(norms, fixture, "norm")
    assert_as_published(embeddings / norms, fixture, "embedding")
    both = judge("adaface-ir101-webface12m").embed(crops)
    expected = embeddings + plain.embed(crops.flip(3))
    torch.testing.assert_close(both, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["facenet-vggface2", "arcface-r100-ms1mv3"])
@torch.inference_mode()
def test_an_embedding_does_not_depend_on_the_batch(
    judge: Callable[..., Recogniser], name: str
) -> None:
    built = judge(name)
    size = template(built.card.template).size
    crops = torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(0))
    together = built.embed(crops)
    assert together.shape == (3, built.card.dim)
    assert together.dtype == torch.float32
    alone = torch.cat([built.embed(crop[None]) for crop in crops])
    scale = float(together.std())
    torch.testing.assert_close(together / scale, alone / scale, rtol=0, atol=1e-4)
    assert not torch.allclose(together[0], together[1], atol=1e-3 * scale)
    assert built.embed(crops[:0]).shape == (0, built.card.dim)


def test_attacks_can_differentiate_through_a_judge(judge: Callable[..., Recogniser]) -> None:
    with torch.inference_mode():
        built = judge("facenet-vggface2:flip=true")
    crops = torch.rand(1, 3, 160, 160, requires_grad=True)
    built.embed(crops)[0, 0].backward()
    assert crops.grad is not None
    assert crops.grad.abs().sum() > 0


@pytest.mark.parametrize("name", NAMES)
def test_without_weights_the_message_says_how_to_get_them(anonbench_home: Path, name: str) -> None:
    card = registry.judges.card(name)
    with pytest.raises(MissingArtefact, match=f"(fetch|weights import) {name}"):
        registry.judges.load(name)(card, "cpu")


@pytest.mark.parametrize("name", NAMES)
def test_the_card_is_complete(name: str) -> None:
    card = registry.judges.card(name)
    assert card.kind == "recognition"
    assert template(card.template).size == (160 if name.startswith("facenet") else 112)
    assert card.licence and card.citation and card.training_data
    entry = catalogue()[card.weights[0]]
    assert entry.research_only == card.research_only


def test_g2face_is_marked_where_it_was_trained_with_the_judge() -> None:
    official = registry.methods.parse("g2face", "paper")
    assert "arcface-r50-ms1mv3" in official.white_box_judges
    assert "drdpgan" in registry.judges.card("arcface-r50-ms1mv3").white_box_for
    independent = ("facenet-vggface2", "facenet-casia", "adaface-ir101-webface12m")
    assert not any(registry.judges.card(name).white_box_for for name in independent)


# ---------------------------------------------------------------------------------- wrong files
def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def test_facenets_files_are_told_apart(kit: Path, anonbench_home: Path, tmp_path: Path) -> None:
    file = saved(tmp_path / "model.pt", filled(kit, "facenet", "net", 8631))
    with pytest.raises(BadData, match=r"logits\.weight \[8631, 512\] instead of \[10575, 512\]"):
        import_file("facenet-casia", file)
    assert not weights.is_present("facenet-casia")


def test_a_shallower_arcface_is_refused(kit: Path, anonbench_home: Path, tmp_path: Path) -> None:
    file = saved(tmp_path / "backbone.pth", filled(kit, "arcface_r50", "backbone"))
    with pytest.raises(BadData, match=r"IResNet.* missing: layer2\.4\."):
        import_file("arcface-r100-ms1mv3", file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"model.input_layer.0.weight": torch.ones(2)}, "no entry 'state_dict'"),
        ({"state_dict": {"head.kernel": torch.ones(2)}}, "no entry 'model'"),
        (
            {"state_dict": {"model.input_layer.0.weight": torch.ones(64, 3, 3, 3)}},
            "missing: input_layer.1.weight",
        ),
    ],
)
def test_other_checkpoints_than_adafaces_are_refused(
    anonbench_home: Path, tmp_path: Path, content: Any, message: str
) -> None:
    file = saved(tmp_path / "adaface_ir101_webface12m.ckpt", content)
    with pytest.raises(BadData, match=message):
        import_file("adaface-ir101-webface12m", file)


@pytest.mark.parametrize("name", NAMES)
def test_a_web_page_in_place_of_the_file_is_refused(
    anonbench_home: Path, tmp_path: Path, name: str
) -> None:
    """What a download from Google Drive or OneDrive leaves when it asks for a confirmation."""
    page = tmp_path / "download"
    page.write_text("<!DOCTYPE html><html><title>Google Drive - Virus scan warning</title></html>")
    with pytest.raises(BadData, match="cannot be read as a checkpoint"):
        import_file(name, page)
