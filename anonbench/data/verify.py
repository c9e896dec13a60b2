"""Checking a dataset on disk: what is missing, extra or damaged."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from anonbench.data.base import ImageDataset
from anonbench.data.manifest import FileEntry, Manifest, sha256_of
from anonbench.errors import BadImage, UserError


@dataclass
class Report:
    """What a check found.

    Attributes:
        images: Number of images on disk.
        people: Number of known identities among them.
        manifest: Of the files that could be read.
        missing: Files that should be there, each with the place that says so.
        extra: Files of the dataset that the recorded manifest does not have.
        damaged: Files that cannot be used, or differ from the recorded manifest, with the reason.
        ignored: Files below the root that are no part of the dataset; no problem.
        unknown: Number of images per attribute that is not known of them; no problem.
    """

    images: int
    people: int
    manifest: Manifest
    missing: dict[str, str] = field(default_factory=dict)
    extra: list[str] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    unknown: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether there is no problem."""
        return not (self.missing or self.extra or self.damaged)


def verify(
    dataset: ImageDataset,
    recorded: Mapping[str, str] | None = None,
    advance: Callable[[int], None] = lambda count: None,
) -> Report:
    """Read, hash and decode every file of a dataset; nothing is taken from a cache.

    Args:
        dataset: The dataset.
        recorded: Expected sha256 per path, from an earlier manifest.
        advance: Called with 1 after each of `checked(dataset)`.

    Raises:
        BadData: There are no images at all.
        MissingArtefact: The dataset needs a pairs file and there is none.
    """
    samples, files = dataset.on_disk(), dataset.files()
    images = {sample.id for sample in samples}
    entries: list[FileEntry] = []
    damaged: dict[str, str] = {}
    for name in checked(dataset):
        try:
            if name in files:
                path = Path(files[name])
                entries.append(FileEntry(name, path.stat().st_size, sha256_of(path)))
            if name in images:
                dataset.read(name)
        except (OSError, BadImage) as error:
            damaged[name] = str(error)
        advance(1)
    people = len({sample.identity for sample in samples if sample.identity != sample.id})
    report = Report(len(samples), people, Manifest(tuple(entries)), damaged=damaged)
    report.ignored = _others(dataset.root, set(files.values()))
    report.unknown = _unknown(dataset, images)
    _expect(dataset, report)
    if recorded is not None:
        _compare(report, recorded)
    return report


def checked(dataset: ImageDataset) -> list[str]:
    """Paths of the files to hash and ids of the images to decode; a file may be an image."""
    return sorted({*dataset.files(), *(sample.id for sample in dataset.on_disk())})


def record_file(dataset: ImageDataset) -> Path:
    """Where the manifest of the first successful check of this copy is kept."""
    config = hashlib.sha256(repr(sorted(dataset.card.config.items())).encode()).hexdigest()[:8]
    cache = dataset.cache_file
    return cache.with_name(f"{cache.name.removesuffix('.json')}-{config}.sha256")


def _expect(dataset: ImageDataset, report: Report) -> None:
    """What the dataset itself says must be there."""
    try:
        report.missing.update(dataset.missing())
    except UserError as error:
        report.damaged["pairs"] = str(error)


def _compare(report: Report, recorded: Mapping[str, str]) -> None:
    found = {entry.path: entry.sha256 for entry in report.manifest.files}
    present = found.keys() | report.damaged.keys()
    for name in recorded.keys() - present:
        report.missing.setdefault(name, "recorded manifest")
    report.extra = sorted(found.keys() - recorded.keys())
    for name in sorted(found.keys() & recorded.keys()):
        if found[name] != recorded[name]:
            report.damaged.setdefault(
                name, f"sha256 is {found[name][:12]}..., recorded {recorded[name][:12]}..."
            )


def _unknown(dataset: ImageDataset, images: set[str]) -> dict[str, int]:
    known = Counter(name for image in images for name in dataset.attributes(image))
    counts = {name: len(images) - known[name] for name in dataset.attribute_names}
    return {name: count for name, count in counts.items() if count}


def _others(root: Path, known: set[str]) -> list[str]:
    paths = (f"{folder}/{name}" for folder, _, names in os.walk(root) for name in names)
    return sorted(os.path.relpath(path, root) for path in paths if path not in known)
