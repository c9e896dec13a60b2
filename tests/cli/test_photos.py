"""Photos in, anonymized photos out, and back: the commands as a user meets them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anonbench.data.align import template
from anonbench.data.images import encode_png, read_image
from anonbench.data.splice import footprint
from anonbench.data.warp import warp
from anonbench.photos import record, sidecar
from anonbench.photos.keys import secret_keys

TOY = ("--detector", "toy-detector", "--device", "cpu")
KEY = ("--key", "open sesame")


@pytest.fixture(autouse=True)
def _cheap_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anonbench.photos.keys._COST", 2**4)
    monkeypatch.delenv("ANONBENCH_KEY", raising=False)


def picture(width: int = 130, height: int = 146, seed: int = 0) -> np.ndarray:
    """Soft blobs with some grain, none of it black; the toy detector's crop just fits in."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(40, 220, (7, 7, 3), dtype=np.uint8))
    blobs = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(float)
    return (blobs + random.normal(0, 3, blobs.shape)).clip(30, 250).astype(np.uint8)


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photo in which the toy detector finds a face, larger than the toy methods' crops."""
    return save(tmp_path / "in" / "me.png", picture())


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """The same with a face that is smaller than their crops."""
    return save(tmp_path / "in" / "tiny.png", picture(52, 58))


def coarse(pixels: np.ndarray, face: record.FaceRecord) -> np.ndarray:
    """What stands in the place of a face, 14 x 14: the border is left out."""
    crop = warp(pixels, face.array, 64, 64, "edge").astype(float)
    return crop.reshape(16, 4, 16, 4, 3).mean(axis=(1, 3))[1:-1, 1:-1]


def error_of(photo: Path, recovered: Path, original: Path) -> float:
    """Mean difference between the recovered face and the original one, in grey levels."""
    (face,) = record.read(photo).faces
    one, other = (coarse(read_image(path), face) for path in (recovered, original))
    return float(np.abs(one - other).mean())


# ------------------------------------------------------------------------------------ real faces
@pytest.fixture
def faces(hog, shared: Path) -> list[np.ndarray]:
    files = sorted((shared / "data" / "lfw" / "lfw-deepfunneled").glob("*/*_0001.jpg"))
    return [read_image(files[number]) for number in (0, 285)]


def test_two_faces_of_one_photo_are_replaced_and_come_back(anonbench, faces, tmp_path) -> None:
    original = save(tmp_path / "two.png", np.concatenate(faces, axis=1))
    out = tmp_path / "out" / "two.png"
    done = anonbench("anonymize", "toy-drawer", original, "--out", out.parent, *KEY)
    assert done.code == 0, done.err
    assert "2 faces" in done.out
    done = anonbench("recover", "toy-drawer", out, "--out", tmp_path / "back", *KEY)
    assert done.code == 0, done.err
    wrong = anonbench(
        *("recover", "toy-drawer", out, "--out", tmp_path / "wrong", "--key", "other")
    )
    assert wrong.code == 0, "a wrong key gives a wrong face"
    stages = [original, out, tmp_path / "back" / "two.png", tmp_path / "wrong" / "two.png"]
    images = [read_image(path) for path in stages]
    errors = []
    for face in record.read(out).faces:
        assert face.kept > 0.999
        seen = [coarse(image, face) for image in images]
        errors.append([np.abs(seen[0] - other).mean() for other in seen[1:]])
    mosaic, recovered, noise = np.array(errors).T
    assert (recovered < 0.5 * mosaic).all()
    assert (noise > 2 * mosaic).all()
    touched = np.zeros(images[0].shape[:2], bool)
    for face in record.read(out).faces:
        (left, top), (right, bottom) = (corner.clip(0) for corner in footprint(face.array, 64))
        touched[top : bottom + 1, left : right + 1] = True
    assert not touched.all()
    for image in images[1:]:
        assert np.array_equal(image[~touched], images[0][~touched])


def test_every_way_of_obfuscation_works_on_photos(anonbench, faces, tmp_path, hog) -> None:
    original = save(tmp_path / "one.jpg", faces[0])
    for method in ("identity", "blur", "pixelate:block=24", "blackout"):
        out = tmp_path / method.partition(":")[0]
        done = anonbench("anonymize", method, original, "--out", out)
        assert done.code == 0, done.err
        assert Image.open(out / "one.png").size == (250, 250)
        assert bool(hog.detect(read_image(out / "one.png"))) == (method == "identity")


# -------------------------------------------------------------------- what is written, and what not
def test_photos_without_a_face_and_broken_ones_are_counted_and_copied_nowhere(
    anonbench, photo, tmp_path
) -> None:
    save(photo.parent / "sub" / "dark.png", np.zeros((80, 80, 3), np.uint8))
    (photo.parent / "bad.jpg").write_text("no image")
    out = tmp_path / "out"
    done = anonbench("anonymize", "blur", photo.parent, "--out", out, *TOY)
    assert done.code == 0
    assert [path.name for path in out.iterdir()] == ["me.png"]
    assert "3 photos: 1 written, 1 without a face, 1 failed." in done.out
    assert "dark.png: no face." in done.out
    assert "bad.jpg is in no known image format" in done.out
    (photo.parent / "me.png").unlink()
    nothing = anonbench("anonymize", "blur", photo.parent, "--out", tmp_path / "other", *TOY)
    assert nothing.code == 1
    assert not (tmp_path / "other").exists()


def test_a_photo_lies_as_a_viewer_shows_it_and_carries_no_metadata(
    anonbench, photo, tmp_path
) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera that must not be named"
    lying = np.ascontiguousarray(np.rot90(picture()))
    save(tmp_path / "turned" / "me.tiff", lying, exif=exif)
    for source, out in ((photo, "upright"), (tmp_path / "turned" / "me.tiff", "out")):
        done = anonbench("anonymize", "pixelate", source, "--out", tmp_path / out, *TOY)
        assert done.code == 0, done.err
    upright, turned = (tmp_path / out / "me.png" for out in ("upright", "out"))
    assert np.array_equal(read_image(turned), read_image(upright))
    assert b"camera" not in turned.read_bytes()
    assert Image.open(turned).info == {}


def test_equal_stems_do_not_meet(anonbench, photo, tmp_path) -> None:
    save(photo.parent / "other" / "me.png", picture(seed=1))
    done = anonbench("anonymize", "blur", photo.parent, "--out", tmp_path / "out", *TOY)
    assert done.code == 0
    first, second = (read_image(tmp_path / "out" / name) for name in ("me.png", "me-2.png"))
    assert not np.array_equal(first, second)


def test_what_is_there_stays_unless_forced_and_old_sidecars_go(anonbench, photo, tmp_path) -> None:
    command = ("anonymize", "toy-drawer", photo, "--out", tmp_path / "out", *KEY, *TOY)
    assert anonbench(*command, "--sidecar").code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert len(before) == 2
    again = anonbench(*command)
    assert again.code == 1
    assert "1 photo: 1 already there" in again.out
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert anonbench(*command, "--force").code == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["me.png"]
    assert (tmp_path / "out" / "me.png").read_bytes() != before[tmp_path / "out" / "me.png"]


def test_a_photo_is_never_changed_in_place(anonbench, photo) -> None:
    before = photo.read_bytes()
    for source in (photo, photo.parent):
        done = anonbench("anonymize", "blur", source, "--out", photo.parent, "--force", *TOY)
        assert done.code == 2
        assert "--out" in done.err
    assert photo.read_bytes() == before


# --------------------------------------------------------------------------------------- recovery
def anonymize(anonbench, photo: Path, *options: str, method: str = "toy-drawer") -> Path:
    out = photo.parents[1] / "out"
    done = anonbench("anonymize", method, photo, "--out", out, *TOY, *options)
    assert done.code == 0, done.err
    return out / photo.name


def test_a_large_face_comes_back_from_the_picture_alone(anonbench, photo, tmp_path) -> None:
    out = anonymize(anonbench, photo, *KEY)
    done = anonbench("recover", "toy-drawer", out, "--out", tmp_path / "back", *KEY)
    assert done.code == 0, done.err
    assert "recovered from the photo" in done.out
    assert error_of(out, tmp_path / "back" / "me.png", photo) < 3
    assert error_of(out, out, photo) > 6


def test_a_small_face_needs_the_sidecar(anonbench, tiny, tmp_path) -> None:
    out = anonymize(anonbench, tiny, *KEY, "--sidecar")
    back, lost = tmp_path / "back", tmp_path / "lost"
    done = anonbench("recover", "toy-drawer", out, "--out", back, *KEY)
    assert "recovered from the sidecar" in done.out
    assert error_of(out, back / "tiny.png", tiny) < 6
    sidecar.beside(out).unlink()
    done = anonbench("recover", "toy-drawer", out, "--out", lost, *KEY)
    assert "recovered from the photo" in done.out
    assert error_of(out, lost / "tiny.png", tiny) > 30


def test_faces_whose_crops_overlap_come_back_too(anonbench, tmp_path) -> None:
    original = save(tmp_path / "in" / "we.png", picture(300, 260))
    out, back = tmp_path / "out" / "we.png", tmp_path / "back" / "we.png"
    options = ("--detector", "toy-neighbours", "--device", "cpu", *KEY, "--sidecar")
    assert anonbench("anonymize", "toy-negative", original, "--out", out.parent, *options).code == 0
    assert anonbench("recover", "toy-negative", out, "--out", back.parent, *KEY).code == 0
    images = [read_image(path).astype(float) for path in (original, out, back)]
    touched = np.zeros(images[0].shape[:2], int)
    for face in record.read(out).faces:
        (left, top), (right, bottom) = (corner.clip(0) for corner in footprint(face.array, 64))
        touched[top : bottom + 1, left : right + 1] += 1
    overlap = touched == 2
    assert overlap.mean() > 0.02
    for region in (touched == 1, overlap):
        assert np.abs(images[2] - images[0])[region].mean() < 5
    assert np.abs(images[1] - images[0])[touched == 1].mean() > 20


def test_the_sidecar_holds_what_the_method_made(anonbench, tiny) -> None:
    import torch

    from anonbench import registry
    from anonbench.engine import models

    out = anonymize(anonbench, tiny, *KEY, "--sidecar")
    keys = secret_keys(KEY[1], record.read(out).salt_bytes)
    stored, (crop,) = sidecar.unseal(sidecar.beside(out), keys)
    assert stored == record.read(out)
    image = read_image(tiny)
    detector = models.detector(registry.judges.card("toy-detector"))
    frame = template("ffhq-64")
    (face,) = detector.detect(image)
    assert np.allclose(stored.faces[0].array, frame.matrix(face))
    face = torch.tensor(frame.crop(image, face)).permute(2, 0, 1)[None] / 255
    drawer = models.method(registry.methods.card("toy-drawer"), "cpu")
    made = drawer.anonymize(face, [keys.face(0)])[0].permute(1, 2, 0) * 255
    assert np.array_equal(crop, made.round().byte().numpy())


def test_a_wrong_key_and_a_sidecar_of_another_photo_are_told(anonbench, photo, tmp_path) -> None:
    other = save(photo.parent / "you.png", picture(seed=5))
    out = anonymize(anonbench, photo, *KEY, "--sidecar")
    theirs = anonymize(anonbench, other, *KEY, "--sidecar")
    command = ("recover", "toy-drawer", out, "--out", tmp_path / "back")
    wrong = anonbench(*command, "--key", "other")
    assert wrong.code == 1
    assert "cannot be opened. The key is wrong" in wrong.out
    sidecar.beside(theirs).replace(sidecar.beside(out))
    mixed = anonbench(*command, *KEY)
    assert mixed.code == 1
    assert "belongs to another photo" in mixed.out
    assert not (tmp_path / "back").exists()


def test_without_its_text_a_photo_needs_the_sidecar(anonbench, photo, tmp_path) -> None:
    out = anonymize(anonbench, photo, *KEY, "--sidecar")
    out.write_bytes(encode_png(read_image(out)))
    held, moved = sidecar.beside(out), tmp_path / "moved"
    done = anonbench("recover", "toy-drawer", out, "--out", tmp_path / "back", *KEY)
    assert done.code == 0, done.out
    held.rename(moved)
    lost = anonbench("recover", "toy-drawer", out, "--out", tmp_path / "lost", *KEY)
    assert lost.code == 1
    assert "does not say where its faces are" in lost.out
    assert "nothing is guessed" in lost.out


def test_a_photo_that_was_scaled_is_refused(anonbench, photo, tmp_path) -> None:
    out = anonymize(anonbench, photo, *KEY)
    text = {record.KEYWORD: record.read(out).model_dump_json()}
    small = np.asarray(Image.fromarray(read_image(out)).resize((65, 73)))
    out.write_bytes(encode_png(small, text))
    done = anonbench("recover", "toy-drawer", out, "--out", tmp_path / "back", *KEY)
    assert done.code == 1
    assert "had 130 x 146 pixels then and has 65 x 73 now" in done.out


def test_a_method_without_a_secret_says_so_and_needs_no_key(anonbench, photo, tmp_path) -> None:
    out = photo.parents[1] / "out"
    done = anonbench("anonymize", "toy-door", photo, "--out", out, *KEY, *TOY, "--sidecar")
    assert "Door has no secret" in done.err
    done = anonbench("recover", "toy-door", out / "me.png", "--out", tmp_path / "back")
    assert done.code == 0
    assert "recovered from the photo" in done.out
    assert "was not used, since no --key was given" in done.out
    assert error_of(out / "me.png", tmp_path / "back" / "me.png", photo) < 3


def test_a_method_that_needs_a_latent_says_that_nothing_comes_back(
    anonbench, photo, tmp_path
) -> None:
    out, safe = tmp_path / "out", "toy-safe recovers from a latent"
    done = anonbench("anonymize", "toy-safe", photo, "--out", out, *KEY, *TOY)
    assert done.code == 0
    assert f"note: {safe}" in done.err and "cannot be recovered" in done.err
    assert "Anonymize with toy-xor" in done.err
    assert "holds exactly" not in done.out
    assert record.read(out / "me.png") is None
    done = anonbench("recover", "toy-safe", out / "me.png", "--out", tmp_path / "back", *KEY)
    assert done.code == 2
    assert safe in done.err and "Anonymize with toy-xor" in done.err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 2}, "version"),
        ({"salt": "../../etc/passwd"}, "salt"),
        ({"faces": []}, "faces"),
        ({"faces": [{"matrix": [[0, 0, 1], [0, 0, 1]], "kept": 1}]}, "no similarity"),
        ({"faces": [{"matrix": [[1, 0, 9e9], [0, 1, 0]], "kept": 1}]}, "do not fit the image"),
        ({"faces": [{"matrix": [[1e5, 0, 0], [0, 1e5, 0]], "kept": 1}]}, "do not fit the image"),
        ({"template": "arcface-112"}, "arcface-112"),
        ({"method": {"name": "blur", "version": 1, "config": {}, "weights": {}}}, "with blur"),
        ({"method.version": 7}, "another version"),
        ({"method.weights": {"x": "0"}}, "weights that differ: x"),
        ({"method.config": {"file": "/etc/passwd"}}, "settings unknown here: file"),
    ],
)
def test_a_forged_record_is_one_clear_message(anonbench, photo, tmp_path, change, words) -> None:
    out = anonymize(anonbench, photo, method="toy-door")
    content = record.read(out).model_dump(mode="json")
    for key, value in change.items():
        part, _, name = key.rpartition(".")
        (content[part] if part else content)[name] = value
    out.write_bytes(encode_png(read_image(out), {record.KEYWORD: json.dumps(content)}))
    done = anonbench("recover", "toy-door", out, "--out", tmp_path / "back")
    assert words in done.out


def test_the_record_says_nothing_of_who_it_is(anonbench, photo) -> None:
    out = anonymize(anonbench, photo, *KEY)
    content = json.loads(Image.open(out).text[record.KEYWORD])
    assert sorted(content) == sorted(
        ("version", "method", "template", "width", "height", "salt", "keyed", "faces")
    )
    assert [sorted(face) for face in content["faces"]] == [["kept", "matrix"]]
    assert KEY[1].encode() not in out.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("anonymize", "toy-drawer"), "works with a secret"),
        (("recover", "toy-drawer"), "works with a secret"),
        (("anonymize", "toy-door", "--sidecar"), "there is no secret"),
        (("anonymize", "blur", "--sidecar", *KEY), "would be of no use"),
        (("anonymize", "toy-safe", "--sidecar", *KEY), "would be of no use"),
        (("anonymize", "blur", "--key", " "), "The key is empty"),
        (("anonymize", "blurr"), "Did you mean blur"),
        (("anonymize", "pixelate:block=0"), "block must be at least 1"),
        (("anonymize", "blur", "--detector", "nobody"), "no judge named 'nobody'"),
        (("recover", "blur"), "cannot be undone"),
    ],
)
def test_what_concerns_all_photos_is_told_at_once(
    anonbench, photo, tmp_path, arguments, words
) -> None:
    options = TOY if arguments[0] == "anonymize" and "--detector" not in arguments else ()
    done = anonbench(*arguments, photo, "--out", tmp_path / "out", *options)
    assert done.code == 2
    assert words in done.err
    assert not (tmp_path / "out").exists()


def test_the_secret_may_stand_in_the_environment(anonbench, photo, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ANONBENCH_KEY", KEY[1])
    out = anonymize(anonbench, photo)
    monkeypatch.delenv("ANONBENCH_KEY")
    done = anonbench("recover", "toy-drawer", out, "--out", tmp_path / "back", *KEY)
    assert done.code == 0
    assert error_of(out, tmp_path / "back" / "me.png", photo) < 3


def test_json_tells_the_same(anonbench, photo, tmp_path) -> None:
    save(photo.parent / "dark.png", np.zeros((80, 80, 3), np.uint8))
    out = tmp_path / "out"
    command = ("anonymize", "toy-door", photo.parent, "--out", out, *KEY, "--sidecar")
    told = json.loads(anonbench(*command, *TOY, "--json").out)
    assert told["counts"] == {"done": 1, "no face": 1}
    assert told["remark"].startswith("Door has no secret")
    done = next(row for row in told["photos"] if row["status"] == "done")
    assert Path(done["output"]) == out / "me.png"
    assert Path(done["sidecar"]) == out / "me.anonbench"
    assert done["kept"] == [pytest.approx(1, abs=0.01)]
