"""CIAGAN as a method: what it draws and masks by hand-made landmarks, and its promises."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from anonbench import registry, weights
from anonbench.errors import BadConfig, BadData, MissingArtefact
from anonbench.testing import check_method, failures
from anonbench.testing.fixtures import read_layout
from anonbench.testing.inputs import synthetic_faces
from anonbench.testing.parity import FilledStates
from anonbench.values import sample_key
from anonbench_ciagan import drawing
from anonbench_ciagan.landmarks import USUAL_BOX, LandmarkFinder
from anonbench_ciagan.method import Ciagan, chosen_identities

KEYS = [sample_key(0, name) for name in "abc"]
OTHER_KEYS = [sample_key(1, name) for name in "abc"]
PREDICTORS = ("dlib-shape-predictor-68", "dlib-shape-predictor-5")


@pytest.fixture(scope="session")
def dlib(artefact: Callable[[str], Path]) -> dict[str, Path]:
    return {name: artefact(name) for name in PREDICTORS}


@pytest.fixture(scope="module")
def checkpoint(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`modelG.pth` as its authors publish it, filled by the parity kit."""
    states = FilledStates(read_layout(shared / "parity", "ciagan"))
    path = tmp_path_factory.mktemp("downloads") / "modelG.pth"
    torch.save(states["generator"], path)
    return path


@pytest.fixture(scope="module")
def home(
    dlib: dict[str, Path], checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A cache folder with the filled weights and dlib's predictors."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("ANONBENCH_HOME", str(folder))
        for name, path in {**dlib, "ciagan": checkpoint}.items():
            weights.import_file(name, path)
        yield folder


@pytest.fixture(scope="module")
def method(home: Path) -> Ciagan:
    return build()


@pytest.fixture(scope="module")
def faces() -> Tensor:
    return synthetic_faces(3, 128)


def build(settings: str = "") -> Ciagan:
    return Ciagan(registry.methods.parse(f"ciagan{settings}"), "cpu")


def on_canvas(column: float, row: float) -> list[float]:
    """The place in the crop of a pixel of the canvas: its centre is the canvas's."""
    scale = 144 / 218
    return [(column + 0.5 - 89) * scale + 63.5, (row + 0.5 - 109) * scale + 63.5]


@pytest.fixture
def points() -> np.ndarray:
    """A jaw of three straight lines, a nose of one, a mouth that is a rectangle, level brows."""
    places = np.full((68, 2), 5.0)  # what is not drawn stands in a corner
    places[0:5] = [on_canvas(40, row) for row in (80, 100, 120, 140, 160)]
    places[5:12] = [on_canvas(column, 160) for column in (50, 60, 70, 90, 110, 120, 130)]
    places[12:17] = [on_canvas(140, row) for row in (160, 140, 120, 100, 80)]
    places[19], places[24] = on_canvas(60, 70), on_canvas(120, 70)
    places[27:31] = [on_canvas(89, row) for row in (90, 100, 110, 120)]
    mouth = [(75, 140), (82, 140), (89, 140), (96, 140), (103, 140), (103, 146), (89, 146)]
    places[60:68] = [on_canvas(*place) for place in [*mouth, (75, 146)]]
    return places


# ------------------------------------------------------------------------------------ drawings
def test_jaw_nose_and_inner_lips_are_red_lines_of_one_pixel_on_white(points: np.ndarray) -> None:
    expected = np.zeros((218, 178), bool)
    expected[80:161, [40, 140]] = True
    expected[160, 40:141] = True
    expected[90:121, 89] = True
    expected[[140, 146], 75:104] = True
    expected[140:147, [75, 103]] = True
    drawn = np.asarray(drawing.draw_landmarks(points))
    assert (drawn[expected] == (255, 0, 0)).all()
    assert (drawn[~expected] == 255).all()
    assert (np.asarray(drawing.draw_landmarks(points, "blue"))[expected] == (0, 0, 255)).all()


def test_the_mask_goes_round_the_jaw_and_back_at_the_height_of_the_brows(
    points: np.ndarray,
) -> None:
    expected = np.zeros((218, 178), bool)
    expected[70:161, 40:141] = True
    black = (np.asarray(drawing.draw_mask(points)) == 0).all(axis=2)
    np.testing.assert_array_equal(black, expected)


def test_the_frame_is_the_middle_of_the_stretched_canvas(points: np.ndarray) -> None:
    mask = drawing.face_mask(points)
    assert mask.shape == (1, 128, 128)
    assert set(mask.unique().tolist()) == {0, 1}
    rows, columns = (mask[0].any(dim=axis).nonzero().flatten() for axis in (1, 0))
    across, down = 144 / 178, 144 / 218
    found = [int(end) for ends in (columns, rows) for end in (ends[0], ends[-1] + 1)]
    edges = [40 * across - 8, 141 * across - 8, 70 * down - 8, 161 * down - 8]
    np.testing.assert_allclose(found, edges, atol=1.5)
    image = drawing.landmark_image(points)
    assert image.shape == (3, 128, 128)
    assert image[:, :20].min() > 0.9
    nose = (round(105.5 * down - 8.5), round(89.5 * across - 8.5))
    red, green, blue = image[:, nose[0], nose[1]].tolist()
    assert red > 0.1 + max(green, blue)
    assert max(green, blue) < 0.6


def test_crop_and_frame_differ_by_the_stretch_alone() -> None:
    ramp = torch.linspace(0, 1, 128).expand(1, 3, 128, 128)
    framed = drawing.to_frame(ramp)
    width = 178 / 218
    low, high = 0.5 - width / 2, 0.5 + width / 2
    places = low + (torch.arange(128) + 0.5) / 128 * (high - low)
    expected = (places * 128 - 0.5) / 127
    torch.testing.assert_close(framed[0, 0, 64], expected, rtol=0, atol=1e-3)  # half a pixel: 3e-3
    inside = slice(13, 115)
    back = drawing.to_crop(framed)[..., inside]
    torch.testing.assert_close(back, ramp[..., inside], rtol=0, atol=2e-3)
    whole = drawing.mask_to_crop(torch.ones(1, 1, 128, 128))[0, 0]
    assert whole[:, 12:116].all() and not whole[:, :11].any() and not whole[:, 117:].any()


# -------------------------------------------------------------------------------------- method
def test_it_keeps_the_promises_of_the_suite(home: Path) -> None:
    assert failures(check_method("ciagan")) == []


class Spy:
    """What the generator of a method is given."""

    def __init__(self, method: Ciagan, patch: pytest.MonkeyPatch) -> None:
        self.given: list[tuple[Tensor, ...]] = []
        forward = method._generator.forward

        def noting(*arguments: Tensor) -> Tensor:
            self.given.append(arguments)
            return forward(*arguments)

        patch.setattr(method._generator, "forward", noting)


def test_what_the_generator_sees_and_what_it_may_change(
    method: Ciagan, faces: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Spy(method, monkeypatch)
    output = method.anonymize(faces, KEYS)
    ((landmarks, surroundings, identity),) = spy.given
    located = [method._finder.locate(face).points for face in faces]
    mask = torch.stack([drawing.face_mask(points) for points in located])
    assert torch.equal(landmarks, torch.stack([drawing.landmark_image(p) for p in located]))
    inside = mask.bool().expand_as(surroundings)
    assert (surroundings[inside] == 0).all()
    assert torch.equal(surroundings[~inside], drawing.to_frame(faces)[~inside])
    assert torch.equal(identity.argmax(dim=1), chosen_identities(KEYS))
    replaced = drawing.mask_to_crop(mask).bool().expand_as(faces)
    assert 0.1 < replaced.float().mean() < 0.6
    assert torch.equal(output[~replaced], faces[~replaced])
    assert (output[replaced] - faces[replaced]).abs().mean() > 0.05


def test_nothing_of_the_masked_face_reaches_the_output(
    method: Ciagan, monkeypatch: pytest.MonkeyPatch
) -> None:
    crop = synthetic_faces(1, 128)
    known = method._finder.locate(crop[0])
    monkeypatch.setattr(method._finder, "locate", lambda face: known)
    replaced = drawing.mask_to_crop(drawing.face_mask(known.points)[None]).bool()
    well_inside = -torch.nn.functional.max_pool2d(-replaced.float(), 7, 1, 3) > 0
    other = torch.where(well_inside, 1 - crop, crop)
    assert well_inside.sum() > 500
    assert torch.equal(method.anonymize(crop, KEYS[:1]), method.anonymize(other, KEYS[:1]))


def test_identities_come_from_the_key_alone(
    method: Ciagan, faces: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = Spy(method, monkeypatch)
    for images, keys in ((faces, KEYS), (faces.flip(3), KEYS), (faces, OTHER_KEYS)):
        method.anonymize(images, keys)
    same, again, other = (arguments[2] for arguments in spy.given)
    assert same.shape == (3, 1200) and (same.sum(dim=1) == 1).all()
    assert torch.equal(same, again)
    assert (same.argmax(1) != other.argmax(1)).all()


def test_every_one_of_the_1200_people_can_be_drawn() -> None:
    drawn = chosen_identities([sample_key(0, str(number)) for number in range(12_000)])
    counts = drawn.bincount(minlength=1200)
    assert len(counts) == 1200
    assert counts.min() >= 1 and counts.max() < 30


# ----------------------------------------------------------------------------------- landmarks
def test_where_no_face_is_found_landmarks_are_fitted_and_it_says_so(
    method: Ciagan, faces: Tensor
) -> None:
    plain = torch.full((1, 3, 128, 128), 0.5)
    output, remarks = method.anonymize_with_remarks(plain, KEYS[:1])
    assert remarks["face_found"].tolist() == [False]
    left, top, right, bottom = USUAL_BOX
    centre = np.array([left + right, top + bottom]) / 2
    points = method._finder.locate(plain[0]).points
    assert abs(points.mean(axis=0) - centre).max() < 15
    changed = (output != plain).any(dim=1)
    assert 0.1 < changed.float().mean() < 0.6


def test_a_face_beside_the_centre_is_not_taken_for_the_crops_own(dlib, shared: Path) -> None:
    from anonbench.data.align import most_central, template
    from anonbench.data.images import read_image
    from anonbench.engine import models

    folder = shared / "data" / "lfw" / "lfw-deepfunneled"
    image = read_image(folder / "Aaron_Eckhart" / "Aaron_Eckhart_0001.jpg")
    hog = models.detector(registry.judges.card("dlib-hog"))
    face = most_central(hog.detect(image), image.shape[1], image.shape[0])
    assert face is not None
    crop = torch.from_numpy(template("ciagan-128").crop(image, face)).permute(2, 0, 1) / 255
    finder = LandmarkFinder()
    own = finder.locate(crop)
    assert own.found
    eyes = own.points[[39, 42]].mean(axis=0)
    np.testing.assert_allclose(eyes, [63.5, 63.5], atol=4)
    beside = finder.locate(crop.roll(48, dims=2))
    assert not beside.found


# ------------------------------------------------------------------------------------- weights
def test_missing_weights_are_an_error_that_names_them(anonbench_home: Path) -> None:
    with pytest.raises(MissingArtefact) as caught:
        build()
    text = str(caught.value)
    assert "modelG.pth: https://github.com/dvl-tum/ciagan" in text
    assert "anonbench weights import ciagan modelG.pth" in text
    assert not list(anonbench_home.rglob("*.safetensors"))


def test_a_file_that_does_not_fit_is_refused_and_its_differences_listed(
    anonbench_home: Path, tmp_path: Path, checkpoint: Path
) -> None:
    content = torch.load(checkpoint, weights_only=True)
    first, second = list(content)[:2]
    content["surplus"] = torch.ones(1)
    content[second] = torch.ones(7, 7)
    del content[first]
    torch.save(content, tmp_path / "changed.pth")
    with pytest.raises(BadData) as caught:
        weights.import_file("ciagan", tmp_path / "changed.pth")
    text = str(caught.value)
    assert f"1 missing: {first}." in text
    assert "1 unexpected: surplus." in text
    assert f"1 of another shape: {second} [7, 7] instead of" in text
    assert not weights.is_present("ciagan")


def test_a_wrong_size_or_colour_is_refused(method: Ciagan) -> None:
    with pytest.raises(BadData, match=r"128 x 128 pixels, not 3 x 64 x 64"):
        method.anonymize(torch.zeros(1, 3, 64, 64), KEYS[:1])
    with pytest.raises(BadConfig, match="lines must be red or blue"):
        build(":lines=green")


def test_its_parts_need_no_weights(anonbench_home: Path) -> None:
    (part,) = Ciagan.parts(registry.methods.parse("ciagan"))
    assert part.core
    total = sum(parameter.numel() for parameter in part.module.parameters())
    assert total / 1e6 == pytest.approx(11.801, abs=5e-4)
    assert part.module.eval()(*part.inputs).shape == (1, 3, 128, 128)
