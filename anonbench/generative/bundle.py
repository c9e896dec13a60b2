"""Bundles: the one safetensors file that holds what a training made.

That is the trained networks and, where priors were fitted in training, what was fitted of them
(`networks.`, `identity.`, `geometry.`). Its `architecture` says in JSON how the networks are built,
so nobody has to know that to load it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from pydantic import TypeAdapter
from pydantic_core import from_json
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from anonbench.errors import BadData
from anonbench.nets.fusion import FusionNetworks
from anonbench.nets.state import load_state

_BUILD = "architecture"
# Smaller tensors are stored in float32: in half precision they would save nothing.
_HALF_FROM = 4096

N = TypeVar("N", bound=FusionNetworks)
States = Mapping[str, Mapping[str, Tensor]]


@dataclass(frozen=True)
class BundleFormat(Generic[N]):
    """How the bundles of one method are written and read.

    Attributes:
        method: The method's registered name.
        title: What messages call it.
        build: Type of what says how its networks are built.
        make: Builds them.
        build_of: How networks were built.
    """

    method: str
    title: str
    build: type[Any]
    make: Callable[[Any], N]
    build_of: Callable[[N], Any]

    @property
    def _adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.build)

    def pack(
        self, networks: N, fitted: Mapping[str, nn.Module] | None = None, *, half: bool = False
    ) -> dict[str, Tensor]:
        """The tensors of a bundle, by their names in the file.

        Args:
            networks: The trained networks.
            fitted: Priors that were fitted in training, as `identity` and `geometry`.
            half: Store large tensors in half precision.

        Raises:
            BadData: A weight is not finite, or becomes so in half precision.
        """
        parts: dict[str, nn.Module] = {"networks": networks, **(fitted or {})}
        tensors = {
            f"{name}.{key}": _stored(value, half)
            for name, part in parts.items()
            for key, value in part.state_dict().items()
        }
        bad = [key for key, value in tensors.items() if not bool(value.isfinite().all())]
        if bad:
            raise BadData(f"Weights of {self.title} are not finite: {', '.join(bad[:8])}.")
        described = bytearray(self._adapter.dump_json(self.build_of(networks)))
        return {**tensors, _BUILD: torch.frombuffer(described, dtype=torch.uint8)}

    def read(self, path: Path) -> tuple[N, States]:
        """The networks of a bundle, loaded, and the state dicts of its fitted priors by name.

        Raises:
            BadData: It is no bundle, or does not fit the networks that it says it is for.
        """
        try:
            tensors = load_file(path)
            described = tensors.pop(_BUILD, torch.empty(0)).numpy().tobytes()
            build = self._adapter.validate_json(described)
            self._refuse_foreign(described)
        except (OSError, SafetensorError, ValueError) as error:
            raise BadData(
                f"{path} is no bundle of {self.title} weights.",
                why=str(error).splitlines()[0],
                mend=f"Name the model.safetensors that `anonbench train {self.method}` wrote.",
            ) from error
        states = by_entry(tensors)
        networks = self.make(build)
        load_state(networks, states.pop("networks", {}), source=str(path))
        return networks, states

    def _refuse_foreign(self, described: bytes) -> None:
        """What another method says of its networks must not pass for this one's defaults."""
        foreign = from_json(described).keys() - {field.name for field in fields(self.build)}
        if foreign:
            raise ValueError(f"It is of another method: it says {', '.join(sorted(foreign))}.")


def by_entry(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Tensors by the first part of their keys, then by the rest."""
    entries: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, _, rest = key.partition(".")
        entries.setdefault(name, {})[rest] = value
    return entries


def _stored(value: Tensor, half: bool) -> Tensor:
    smaller = half and value.is_floating_point() and value.numel() >= _HALF_FROM
    return (value.half() if smaller else value).detach().cpu().contiguous().clone()
