"""Aligned face crops as training data: found once, stored beside the run, read by index."""

import json
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from anonbench.cards import DatasetCard
from anonbench.data import open_dataset
from anonbench.data.align import map_face, most_central, template
from anonbench.engine import models
from anonbench.errors import BadConfig, BadData, BadImage, StoreError
from anonbench.files import atomic_write, private_folder
from anonbench.interfaces import Dataset
from anonbench.registry import judges

DETECTOR = "dlib-hog"
INDEX, IMAGES, POINTS = "index.json", "images.u8", "points.f32"
_CHUNK = 32  # images that a process takes at a time
_REPORTED = 1000  # images between two lines of the log
_LOG = logging.getLogger(__name__)

Pixels = NDArray[np.uint8]
Points = NDArray[np.float32]


class Source(BaseModel):
    """Images to train on.

    Attributes:
        dataset: Name of a dataset, with settings if need be: `folder`, `lfw`.
        path: Its folder below the data root.
        people: `unpaired` leaves out every person whom the dataset's verification pairs name, so
            that they remain unseen; `all` takes everybody.
        upsample: How often an image is doubled before detection.
        repeat: How often each image counts in an epoch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    path: str = "."
    people: Literal["all", "unpaired"] = "all"
    upsample: int = 1
    repeat: int = 1


@dataclass(frozen=True)
class Crops:
    """Aligned crops of a size.

    Attributes:
        images: `[N, S, S, 3]` uint8 RGB.
        points: `[N, 68, 2]` float32 landmarks in pixels of the crops.
        repeat: `[N]` how often each counts in an epoch.
        ids: Where each came from.
        failed: Reason per image that is not among them.
    """

    images: Pixels
    points: Points
    repeat: NDArray[np.int64]
    ids: tuple[str, ...]
    failed: dict[str, str]


@dataclass(frozen=True)
class _Task:
    dataset: DatasetCard
    root: str
    sample: str
    template: str
    source: Source

    @property
    def name(self) -> str:
        return f"{self.source.path}/{self.sample}"


def load_crops(
    sources: Sequence[Source], data_root: Path, template_name: str, folder: Path
) -> Crops:
    """The crops of some sources: from a folder if they are there, else found and stored there.

    Args:
        sources: What to train on.
        data_root: Holds the sources' folders.
        template_name: Alignment, e.g. `ffhq-128`.
        folder: Where the crops are kept.

    Raises:
        BadConfig: The folder holds other crops.
        BadData: A source is missing, or not one face was found.
        StoreError: The disk is full or cannot be written.
    """
    wanted = {
        "sources": [source.model_dump() for source in sources],
        "data_root": str(data_root.resolve()),
        "template": [template_name, template(template_name).version],
    }
    index = folder / INDEX
    if not index.is_file():
        private_folder(folder)
        found = {"of": wanted, **_find(sources, data_root, template_name, folder)}
        atomic_write(index, lambda path: path.write_text(json.dumps(found), "utf-8"))
    facts = json.loads(index.read_text("utf-8"))
    if facts["of"] != wanted:  # another run may be reading them
        raise BadConfig(
            f"{folder} holds crops of other data or of another alignment.",
            mend="Give another folder, or the --data-root they were made from.",
        )
    size, ids = template(template_name).size, tuple(facts["ids"])
    images = np.memmap(folder / IMAGES, np.uint8, "r", shape=(len(ids), size, size, 3))
    points = np.fromfile(folder / POINTS, np.float32).reshape(len(ids), 68, 2)
    return Crops(images, points, np.array(facts["repeat"], np.int64), ids, facts["failed"])


def _find(
    sources: Sequence[Source], data_root: Path, template_name: str, folder: Path
) -> dict[str, Any]:
    """Write pixels and landmarks one after the other; return what the index says about them."""
    tasks = [task for source in sources for task in _tasks(source, data_root, template_name)]
    ids: list[str] = []
    repeat: list[int] = []
    failed: dict[str, str] = {}
    with _written(folder / IMAGES) as images, _written(folder / POINTS) as points:
        for number, (task, found) in enumerate(zip(tasks, _in_parallel(tasks), strict=True)):
            if number % _REPORTED == 0:
                _LOG.info("finding faces, image %d of %d", number, len(tasks))
            if isinstance(found, str):
                failed[task.name] = found
                continue
            images.write(found[0].tobytes())
            points.write(found[1].tobytes())
            ids.append(task.name)
            repeat.append(task.source.repeat)
    _LOG.info("%d faces; %d images without", len(ids), len(failed))
    if not ids:
        raise BadData(f"No face was found in {len(tasks)} images below {data_root}.")
    return {"ids": ids, "repeat": repeat, "failed": failed}


@contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("wb") as file:
            yield file
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}.") from error


def _tasks(source: Source, data_root: Path, template_name: str) -> list[_Task]:
    dataset = open_dataset(source.dataset, data_root / source.path)
    return [
        _Task(dataset.card, str(dataset.root), sample, template_name, source)
        for sample in _chosen(dataset, source.people)
    ]


def _chosen(dataset: Dataset, people: Literal["all", "unpaired"]) -> list[str]:
    """The samples to train on."""
    samples = dataset.samples()
    if people == "all":
        return [sample.id for sample in samples]
    paired = {sample for pair in dataset.pairs() for sample in (pair.a, pair.b)}
    tested = {sample.identity for sample in samples if sample.id in paired}
    return [sample.id for sample in samples if sample.identity not in tested]


def _in_parallel(tasks: Sequence[_Task]) -> Iterator[tuple[Pixels, Points] | str]:
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        yield from pool.map(_one, tasks, chunksize=_CHUNK)


def _one(task: _Task) -> tuple[Pixels, Points] | str:
    """Crop and landmarks of the most central face, or why there are none."""
    try:
        image = models.dataset(task.dataset, task.root).read(task.sample)
        height, width = image.shape[:2]
        faces = models.detector(judges.card(DETECTOR)).detect(image, task.source.upsample)
        face = most_central(faces, width, height)
        if face is None:
            return "no face found"
        aligned = template(task.template)
        points = map_face(face, aligned.matrix(face)).points68
        assert points is not None  # this detector fits them
        return aligned.crop(image, face), points.astype(np.float32)
    except BadImage as error:
        return str(error)
