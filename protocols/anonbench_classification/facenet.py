"""The recipe `facenet`: Inception-ResNet-v1 with a softmax over the people, trained anew.

After train_softmax.py of davidsandberg/facenet, without its center loss: crops of 160 px, mirrored
at random, SGD or Adam with a learning rate that falls by steps, and if wanted an average of the
weights over time.
"""

import logging
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from anonbench import registry
from anonbench.engine.models import resolve_device
from anonbench.errors import BadConfig, StoreError
from anonbench.interfaces import Evidence
from anonbench.judges.network import imported
from anonbench.nets.inception_resnet_v1 import InceptionResnetV1
from anonbench.nets.state import load_state
from anonbench.values import Scores, Source
from anonbench_classification.accuracy import Classify, Labels
from anonbench_classification.options import AccuracyOptions
from anonbench_classification.softmax import Pictures, Softmax

_LOG = logging.getLogger(__name__)


class FaceNet:
    """Classifiers trained on the method's crops, which lie in a temporary folder meanwhile.

    Args:
        evidence: Has the crops.
        judge: A FaceNet to start from, or empty for none.
        sources: Crops of what.
        options: The recipe's settings.

    Raises:
        BadConfig: The judge is no FaceNet.
        MissingArtefact: Its weights are not here.
        StoreError: There is no room for the crops.
    """

    def __init__(
        self, evidence: Evidence, judge: str, sources: Sequence[Source], options: AccuracyOptions
    ) -> None:
        self.notes: Scores = {}
        self._options, self._device = options, torch.device(resolve_device(evidence.device))
        self._start = _trained(judge) if judge else None
        self._folder = tempfile.TemporaryDirectory(prefix="anonbench-crops-")
        self.ids, self.failed = _gather(evidence, sources, options.size, Path(self._folder.name))

    def learn(self, source: Source, rows: Labels, labels: Labels) -> Classify:
        """A classifier taught with these rows of a source.

        Raises:
            Diverged: The loss is no longer a finite number.
        """
        people, targets = np.unique(labels, return_inverse=True)
        devices = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices):  # what is drawn here is drawn nowhere else
            torch.manual_seed(self._options.seed)
            softmax = Softmax(self._net(len(people)), self._options, self._device)
            _LOG.info("FaceNet learns %d people from %d %s images", len(people), len(rows), source)
            self.notes[f"loss_{source}"] = softmax.learn(self._pictures(source), rows, targets)

        def classify(other: Source, rows: Labels) -> Labels:
            return people[softmax.classify(self._pictures(other), rows)]

        return classify

    def _net(self, people: int) -> InceptionResnetV1:
        net = InceptionResnetV1(people, self._options.dropout)
        if self._start is not None:
            head = {f"logits.{key}": value for key, value in net.logits.state_dict().items()}
            load_state(net, {**self._start, **head}, source="The judge's weights")
        return net

    def _pictures(self, source: Source) -> Pictures:
        shape = (len(self.ids), self._options.size, self._options.size, 3)
        return np.memmap(Path(self._folder.name, source), np.uint8, "r", shape=shape)


def _gather(
    evidence: Evidence, sources: Sequence[Source], size: int, folder: Path
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Write one file of pixels per source; return what is in them, and why others are not."""
    ids, failed = [], {}
    try:
        with ExitStack() as files:
            into = [files.enter_context((folder / source).open("wb")) for source in sources]
            for crops in evidence.crops(*sources):
                if crops.failed:
                    failed[crops.id] = crops.failed
                    continue
                ids.append(crops.id)
                for file, image in zip(into, crops.images, strict=True):
                    file.write(_resized(image, size).tobytes())
    except OSError as error:
        raise StoreError(
            f"The crops cannot be written to {folder}: {error.strerror}.",
            why=f"They take {3 * size * size * len(sources)} bytes an image.",
            mend="Make room there, or set TMPDIR to a folder with more of it.",
        ) from error
    return tuple(ids), failed


def _resized(image: NDArray[np.float32], size: int) -> NDArray[np.uint8]:
    pixels = Image.fromarray(np.rint(image * 255).clip(0, 255).astype(np.uint8))
    return np.asarray(pixels.resize((size, size), Image.Resampling.BICUBIC))


def _trained(judge: str) -> dict[str, torch.Tensor]:
    """The weights of a FaceNet, without those of its own classifier."""
    if not judge.startswith("facenet-"):
        known = [name for name in registry.judges.names() if name.startswith("facenet-")]
        raise BadConfig(
            f"The judge '{judge}' is no FaceNet to start from.",
            mend=f"Use --judge {' or '.join(known)}, or the setting start=scratch.",
        )
    artefact = registry.judges.card(judge).weights[0]
    net = imported(InceptionResnetV1, artefact, "cpu", unused=("logits.*",))
    return dict(net.state_dict())
