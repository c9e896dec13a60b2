"""What all datasets share: a scan, pairs and a manifest, each made once, and reading an image."""

import errno
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import DatasetCard
from anonbench.data.images import read_image
from anonbench.data.manifest import Manifest, build_manifest
from anonbench.errors import BadData, BadImage
from anonbench.files import unreadable
from anonbench.paths import home
from anonbench.values import Pair, Sample

_TOLERATED = 0.01  # share of images that may be missing; the rest still gives a measurement


class ImageDataset(ABC):
    """Images below a folder. A kind of dataset says what its samples and its pairs are.

    Args:
        card: The dataset's card.
        root: Its folder, as `anonbench.data.locate` finds it.

    Attributes:
        card: The dataset's card.
        root: The folder that sample ids are relative to.
        official: Official number of `images` and `people`, where there is one.
        attribute_names: What `attributes` may tell of a sample.
    """

    official: Mapping[str, int] = {}
    attribute_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, card: DatasetCard, root: Path) -> None:
        self.card, self.root = card, root

    @classmethod
    def find(cls, card: DatasetCard, folder: Path) -> Path | None:
        """The dataset's folder at or below the one a user named, or None."""
        return next((c for c in (folder, folder / card.name) if cls.fits(c)), None)

    @classmethod
    @abstractmethod
    def fits(cls, folder: Path) -> bool:
        """Whether a folder (which may not exist) has the dataset's layout."""

    @abstractmethod
    def _scan(self) -> Iterable[Sample]:
        """The images on disk, in any order."""

    def _make_pairs(self) -> list[Pair]:
        """The pairs in their official order."""
        raise BadData(
            f"The dataset '{self.card.name}' has no verification pairs.",
            mend="Choose one that has, such as lfw, orl or folder, with --dataset.",
        )

    def _expected(self) -> dict[str, str]:
        """Ids of the images that must be there, each with the place that says so."""
        return {}

    def samples(self) -> tuple[Sample, ...]:
        """The samples, sorted by id: those on disk, if the dataset does not say otherwise.

        Raises:
            BadData: There is none, or a file's name cannot be an id.
        """
        return self.on_disk()

    def on_disk(self) -> tuple[Sample, ...]:
        """The samples whose image is there, sorted by id; raises BadData as `samples` does."""
        return tuple(self._by_id.values())

    def attributes(self, sample_id: str) -> Mapping[str, str | int]:
        """What is known of a sample's person, by `attribute_names`; unknown ones are left out."""
        return {}

    def pairs(self) -> tuple[Pair, ...]:
        """Verification pairs in their official order.

        A pair may name an image that is missing, which `read` then says; a run counts it.

        Raises:
            BadData: The dataset cannot have pairs, its pairs file is wrong, or so many images
                are missing that this cannot be the right folder.
        """
        return self._pairs

    def missing(self) -> dict[str, str]:
        """Ids of the images that should be there and are not, each with the place that says so."""
        return {name: why for name, why in self._expected().items() if name not in self._by_id}

    def manifest(self) -> Manifest:
        """Every file of the dataset, hashed anew only where size or mtime changed."""
        return self._manifest

    def files(self) -> dict[str, str]:
        """Every file that the dataset consists of: where it stands, per path in the manifest."""
        return {name: f"{self.root}/{name}" for name in self._by_id}

    def read(self, sample_id: str) -> NDArray[np.uint8]:
        """The image `[H, W, 3]`, RGB.

        Raises:
            BadImage: It is missing or broken.
            StoreError: It cannot be read, or has vanished since the dataset was opened.
        """
        path = self.root / sample_id
        if sample_id not in self._by_id:
            raise BadImage(f"The {self.card.name} image {path} does not exist.")
        try:
            return read_image(path)
        except BadImage as error:
            if path.exists():
                raise
            # A lost mount leaves an empty folder, or none; the image itself was fine.
            away = self.root if not self.root.is_dir() else path
            raise unreadable(away, FileNotFoundError(errno.ENOENT, "it has vanished")) from error

    @property
    def cache_file(self) -> Path:
        """The cache of this copy's manifest."""
        place = hashlib.sha256(str(self.root.resolve()).encode()).hexdigest()[:16]
        return home() / "manifests" / f"{self.card.name}-{place}.json"

    @property
    def _spec(self) -> str:
        """What a user writes for this dataset."""
        return self.card.name

    @cached_property
    def _by_id(self) -> dict[str, Sample]:
        samples = {sample.id: sample for sample in self._scan()}
        if not samples:
            raise BadData(
                f"The folder {self.root} holds no images of the dataset '{self.card.name}'.",
                mend=f"The layout must be: {self.card.layout}",
            )
        for name in samples:
            _refuse_odd_name(name)
        return dict(sorted(samples.items()))

    @cached_property
    def _pairs(self) -> tuple[Pair, ...]:
        pairs = tuple(self._make_pairs())
        self._refuse_many_missing()
        return pairs

    @cached_property
    def _manifest(self) -> Manifest:
        return build_manifest(self.files(), self.cache_file)

    def _refuse_many_missing(self) -> None:
        missing, expected = self.missing(), len(self._expected())
        if len(missing) > max(1, _TOLERATED * expected):
            some = ", ".join(f"{name} ({why})" for name, why in list(missing.items())[:3])
            raise BadData(
                f"Of {expected} images that '{self.card.name}' needs, {len(missing)} are not in "
                f"{self.root}: {some} ...",
                mend=f"See all that is missing with: anonbench data verify {self._spec}",
            )


def _refuse_odd_name(name: str) -> None:
    """Ids stand in manifests and keys: text, one line."""
    if not name.isprintable():
        raise BadData(
            f"The file name {name!r} holds characters that cannot be printed.",
            mend="Rename the file.",
        )
