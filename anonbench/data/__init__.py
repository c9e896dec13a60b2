"""Datasets, pairs, image files and face alignment."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from anonbench import registry
from anonbench.errors import BadData, MissingArtefact

if TYPE_CHECKING:
    from anonbench.cards import DatasetCard
    from anonbench.interfaces import Dataset


def locate(card: "DatasetCard", data_root: Path | None) -> Path:
    """The folder of a dataset: below the user's data folder, else where it was fetched to.

    Args:
        card: The dataset's card.
        data_root: The user's folder: the dataset itself, or a folder that holds it.

    Returns:
        The folder; no place at all for a dataset whose card names no layout, as it has no files.

    Raises:
        BadData: `data_root` does not exist.
        MissingArtefact: The dataset is at neither place.
    """
    if not card.layout:
        return Path(os.devnull)
    if data_root is not None:
        if not data_root.is_dir():
            raise BadData(f"There is no folder {data_root}.", mend="Give another --data-root.")
        found = _find(card, data_root)
        if found is not None:
            return found
    return _fetched(card, data_root)


def open_dataset(spec: str, data_root: Path | None = None) -> "Dataset":
    """The dataset for `NAME` or `NAME:key=value`, found by `locate`."""
    card = registry.datasets.parse(spec)
    return cast("Dataset", registry.datasets.load(card.name)(card, locate(card, data_root)))


def _find(card: "DatasetCard", folder: Path) -> Path | None:
    """As the dataset's class finds it; a plug-in without `find` is taken by its folder's name."""
    kind = registry.datasets.load(card.name)
    if hasattr(kind, "find"):
        return cast("Path | None", kind.find(card, folder))
    return next((place for place in (folder / card.name, folder) if place.is_dir()), None)


def _fetched(card: "DatasetCard", data_root: Path | None) -> Path:
    from anonbench import weights

    if card.artefact and weights.is_present(card.artefact):
        folder = weights.path(card.artefact)
        return _find(card, folder) or folder
    tried = f" in {data_root} or {data_root / card.name}" if data_root else ""
    fetch = f"Get it with: anonbench fetch {card.artefact}; or give" if card.artefact else "Give"
    raise MissingArtefact(
        f"The dataset '{card.name}' is not to be found{tried}.",
        why=f"Its layout must be: {card.layout}.",
        mend=f"{fetch} its folder with --data-root DIR.",
    )
