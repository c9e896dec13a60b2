"""A stage and its three steps: prepare each sample, infer a batch, finish each sample.

Preparing (decoding, aligning) and finishing (checking, encoding) concern one sample, use one
thread and may run in other processes, while networks infer. A stage depends on nothing but its
arguments, so it may be sent anywhere; plug-ins are built there on first use.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from anonbench.engine.faces import Images, Item, join_items
from anonbench.engine.store import Artefact, Row, Value
from anonbench.values import Face

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Prepared:
    """A sample as networks get it, with all that finishing it takes.

    Attributes:
        id: The sample.
        values: Arrays, or what is stored already where a stage has no network.
        face: The face by which it was cut.
        seconds: Time that a model took while it was prepared, where that is done by one.
    """

    id: str
    values: Mapping[str, Value]
    face: Face | None = None
    seconds: float = 0


@dataclass(frozen=True)
class Stage(ABC):
    """One way from stored inputs to stored rows.

    Attributes:
        name: Its folder in the store.
        networks: Whether it infers.
        encodes: Whether finishing is work, which is then done beside the networks.
        label: What it does, for the progress display and the report.
        key: Everything that decides the content of its rows.
        images: Where its images come from.
        stored_images: Artefact with the encoded images, for sources that are in the store.
        stored_faces: Artefact with the faces, for stages that need them.
    """

    name: ClassVar[str]
    networks: ClassVar[bool] = True
    encodes: ClassVar[bool] = False

    label: str
    key: dict[str, Any]
    images: Images
    stored_images: Artefact | None = field(default=None, repr=False)
    stored_faces: Artefact | None = field(default=None, repr=False)

    @property
    def batch(self) -> int | None:
        """Images at which its network is fastest, where its card says it."""
        return None

    def items(self, ids: Sequence[str]) -> Iterator[Item]:
        """The inputs for some samples, in their order."""
        return join_items(ids, self.stored_images, self.stored_faces)

    @abstractmethod
    def prepare(self, item: Item) -> Prepared:
        """Decode and align one sample; raises BadImage."""

    def infer(self, batch: Sequence[Prepared]) -> dict[str, torch.Tensor]:
        """What networks make of a batch: tensors on their device with one row per sample.

        Nothing here waits for the device.
        """
        return {}

    def finish(self, prepared: Prepared, told: Mapping[str, NDArray[Any]]) -> Row:
        """The row of one sample, from its own row of each tensor."""
        return Row(prepared.id, prepared.values)

    def __getstate__(self) -> dict[str, Any]:
        """Others get inputs as items, never the store's indexes."""
        return {**self.__dict__, "stored_images": None, "stored_faces": None}


def column(batch: Sequence[Prepared], name: str) -> list[Any]:
    """One of the values of each sample."""
    return [one.values[name] for one in batch]


def to_tensor(crops: Sequence[Any], device: str = "cpu") -> torch.Tensor:
    """Uint8 crops `[S, S, 3]` as one float32 tensor `[B, 3, S, S]` in `[0, 1]`."""
    return to_batch(crops, device).float().div_(255)


def to_batch(crops: Sequence[Any], device: str = "cpu") -> torch.Tensor:
    """Crops `[S, S, 3]` as one tensor `[B, 3, S, S]`, with the numbers as they are."""
    return on_device(crops, device).permute(0, 3, 1, 2)


def on_device(arrays: Sequence[Any], device: str) -> torch.Tensor:
    """Arrays of one shape as one tensor; to a GPU without waiting, from pinned memory."""
    import torch

    stacked = torch.from_numpy(np.stack(arrays))
    if device.startswith("cuda"):
        return stacked.pin_memory().to(device, non_blocking=True)
    return stacked.to(device)
