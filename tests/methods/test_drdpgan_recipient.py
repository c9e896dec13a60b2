"""No private path to the original: recovery in a process that has the published file and no more.

The recipient's process starts in an empty folder with a fresh HOME, which hold the published PNG,
the method's weights and the key. The sender's folder is gone by then.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from drdpgan_bundles import demo_card, write_bundle
from numpy.typing import NDArray

from anonbench import registry, weights
from anonbench.data.images import encode_png, read_image
from anonbench.engine.channel import to_uint8
from anonbench.engine.steps import to_tensor
from anonbench.photos.anonymize import Anonymizer
from anonbench.photos.crops import Machine
from anonbench.photos.recover import Recoverer
from anonbench.testing.inputs import synthetic_faces
from anonbench.values import sample_key
from anonbench_drdpgan.method import DrDpgan

KEY = sample_key(0, "somebody.png")
RECOVER = """
import sys
from pathlib import Path
from anonbench import registry
from anonbench.data.images import encode_png, read_image
from anonbench.engine.channel import to_uint8
from anonbench.engine.steps import to_tensor

published, key, target = sys.argv[1:]
card = registry.methods.parse("drdpgan:bundle=weights.safetensors")
method = registry.methods.load("drdpgan")(card, "cpu")
crops = to_tensor([read_image(Path(published))])
(recovered,) = method.recover(crops, [bytes.fromhex(key)])
Path(target).write_bytes(encode_png(to_uint8(recovered.permute(1, 2, 0).numpy())))
"""

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def bundle(artefact: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    artefact("dlib-resnet")
    return write_bundle(tmp_path_factory.mktemp("weights") / "bundle.safetensors")


@pytest.fixture(scope="module")
def method(bundle: Path) -> DrDpgan:
    return DrDpgan(demo_card(bundle), "cpu")


class Recipient:
    """A process with a folder and a home of its own, in which nothing is but what it was sent."""

    def __init__(self, folder: Path, bundle: Path, dlib: Path) -> None:
        self.folder = folder / "recipient"
        self._home = folder / "recipient-home"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ANONBENCH_HOME", str(self._home / "anonbench"))
            weights.import_file("dlib-resnet", dlib)
        self.folder.mkdir()
        shutil.copy(bundle, self.folder / "weights.safetensors")

    def run(self, *arguments: str) -> None:
        environment = {
            "HOME": str(self._home),
            "ANONBENCH_HOME": str(self._home / "anonbench"),
            "TMPDIR": str(self._home),
            "PATH": os.environ["PATH"],
            "OMP_NUM_THREADS": str(torch.get_num_threads()),
        }
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture
def recipient(tmp_path: Path, bundle: Path, artefact: Callable[[str], Path]) -> Recipient:
    return Recipient(tmp_path, bundle, artefact("dlib-resnet"))


def pixels(image: torch.Tensor) -> Pixels:
    return to_uint8(image.permute(1, 2, 0).numpy())


def anonymized(method: DrDpgan, original: Path) -> Pixels:
    (published,) = method.anonymize(to_tensor([read_image(original)]), [KEY])
    return pixels(published)


def recovered(method: DrDpgan, published: Path) -> Pixels:
    (image,) = method.recover(to_tensor([read_image(published)]), [KEY])
    return pixels(image)


def test_a_recipient_recovers_what_the_sender_recovers_to_the_bit(
    method: DrDpgan, recipient: Recipient, tmp_path: Path
) -> None:
    sender = tmp_path / "sender"
    sender.mkdir()
    original, published = sender / "somebody.png", recipient.folder / "published.png"
    original.write_bytes(encode_png(pixels(synthetic_faces(1, 128, seed=7)[0])))
    published.write_bytes(encode_png(anonymized(method, original)))
    expected = recovered(method, published)
    assert not np.array_equal(expected, read_image(original))
    assert not np.array_equal(expected, read_image(published))

    original.write_bytes(encode_png(pixels(synthetic_faces(1, 128, seed=8)[0])))
    assert not np.array_equal(anonymized(method, original), read_image(published))
    assert np.array_equal(recovered(method, published), expected)
    shutil.rmtree(sender)
    assert np.array_equal(recovered(method, published), expected)

    assert len(list(recipient.folder.iterdir())) == 2
    recipient.run("-c", RECOVER, "published.png", KEY.hex(), "recovered.png")
    assert np.array_equal(read_image(recipient.folder / "recovered.png"), expected)


@pytest.mark.parametrize("place", [np.s_[:8, :8], np.s_[60:68, 60:68], np.s_[::2, ::2]])
def test_what_is_recovered_depends_on_the_published_pixels(
    method: DrDpgan, tmp_path: Path, place: tuple[slice, slice]
) -> None:
    original, published = tmp_path / "somebody.png", tmp_path / "published.png"
    original.write_bytes(encode_png(pixels(synthetic_faces(1, 128, seed=7)[0])))
    shown = anonymized(method, original)
    published.write_bytes(encode_png(shown))
    expected = recovered(method, published)
    shown[place] = 255 - shown[place]
    published.write_bytes(encode_png(shown))
    changed = np.abs(recovered(method, published).astype(int) - expected)
    assert changed.max() > 1


def test_a_photo_is_recovered_from_its_file_alone(
    bundle: Path, recipient: Recipient, tmp_path: Path
) -> None:
    """The command `anonbench recover`, as a recipient runs it."""
    sender, machine = tmp_path / "sender", Machine("cpu", offline=True)
    sender.mkdir()
    wide = torch.nn.functional.interpolate(synthetic_faces(1, 128, seed=7), (300, 280))[0]
    (sender / "me.png").write_bytes(encode_png(pixels(wide)))
    card, detector = demo_card(bundle), registry.judges.parse("toy-detector")
    outcome = one(
        Anonymizer(card, detector, machine).run([sender / "me.png"], [sender / "out.png"])
    )
    assert (outcome.status, outcome.faces) == ("done", 1)
    published = recipient.folder / "me.png"
    shutil.move(sender / "out.png", published)
    shutil.rmtree(sender)
    back = tmp_path / "back.png"
    spec = f"drdpgan:bundle={bundle}"
    assert one(Recoverer(spec, machine).run([published], [back])).status == "done"
    assert not np.array_equal(read_image(back), read_image(published))

    command = ("recover", "drdpgan:bundle=weights.safetensors", "me.png", "--out", "recovered")
    recipient.run("-m", "anonbench", *command, "--offline", "--device", "cpu")
    assert np.array_equal(read_image(recipient.folder / "recovered" / "me.png"), read_image(back))


def one(outcomes):
    (outcome,) = outcomes
    return outcome
