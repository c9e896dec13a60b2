"""Where an artefact comes from: the datasets and methods in the line of its sources.

Keys name sources by hash alone. So that everything derived from a dataset can be found and
purged, also after its sources were, each artefact keeps their names beside its key.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

FILE = "origin.json"
KEY = re.compile(r"[0-9a-f]{64}")
"""The key of an artefact, which is also its folder's name."""


class Origin(NamedTuple):
    """Names of the datasets and methods from which an artefact was computed, by itself or not."""

    datasets: frozenset[str] = frozenset()
    methods: frozenset[str] = frozenset()

    def __or__(self, other: "Origin") -> "Origin":
        return Origin(self.datasets | other.datasets, self.methods | other.methods)

    @property
    def text(self) -> str:
        """As it stands in the file."""
        return json.dumps({name: sorted(names) for name, names in self._asdict().items()}, indent=2)


def named_in(material: Mapping[str, Any]) -> Origin:
    """What key material itself names."""
    dataset, method = material.get("dataset"), material.get("method")
    return Origin(
        frozenset([dataset[0]["name"]] if dataset else []),
        frozenset([method["name"]] if method else []),
    )


def load(folder: Path) -> Origin | None:
    """The origin that an artefact's folder tells, if it does."""
    try:
        told = json.loads((folder / FILE).read_bytes())
        return Origin(frozenset(told["datasets"]), frozenset(told["methods"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def sources(material: Any) -> Iterator[str]:
    """Whatever in key material may be the key of another artefact."""
    if isinstance(material, str):
        if KEY.fullmatch(material):
            yield material
    elif isinstance(material, Mapping):
        for value in material.values():
            yield from sources(value)
    elif isinstance(material, list | tuple):
        for value in material:
            yield from sources(value)
