"""Bundles of DR-DPGAN with seeded random weights: everything works, nothing is recognisable."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from generative_bundles import COEFFICIENTS, SIZES, awaken, fitted_priors
from safetensors.torch import save_file
from torch import Tensor, nn

from anonbench import registry
from anonbench.cards import MethodCard
from anonbench_drdpgan.checkpoints import BUNDLES
from anonbench_drdpgan.method import DrDpgan
from anonbench_drdpgan.networks import FUSION, Build, DrDpganNetworks

CODE_BITS = 256


def small(architecture: dict[str, Any] | None = None, **changed: Any) -> Build:
    """A small 128-pixel build; some values of it or of its architecture may be given."""
    sizes = {"identity": 128, "geometry": COEFFICIENTS, "rows": (4, 4, 4), "extractor_width": 8}
    made = FUSION(SIZES, **{**sizes, **(architecture or {})})
    return replace(Build(made, code_bits=CODE_BITS), **changed)


def random_networks(build: Build, seed: int = 0) -> DrDpganNetworks:
    """Networks of which every part has an effect."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        networks = DrDpganNetworks(build)
        awaken(networks)
    return networks


def write_bundle(path: Path, build: Build | None = None, seed: int = 0) -> Path:
    """A bundle for the checkpoint `demo`, or `demo_card` where the code is a learned one."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fitted: dict[str, nn.Module] = fitted_priors()
    save_file(BUNDLES.pack(random_networks(build or small(), seed), fitted), path)
    return path


def demo_card(bundle: Path, build: Build | None = None, settings: str = "") -> MethodCard:
    """The card for a 128-pixel bundle, also of a learned code, for which there is no demo."""
    card = registry.methods.parse(f"drdpgan:bundle={bundle}{settings}")
    if build and build.code == "learned":
        said = {"hidden_bits": build.code_bits, "hidden_format": "learned"}
        card = card.model_copy(update=said)
    return card


class Spy:
    """What the networks of a method are called with, whole batches."""

    def __init__(self, method: DrDpgan) -> None:
        networks = method._model.networks
        self._seen: list[tuple[Tensor, ...]] = []
        self._hooks = [
            networks.style_mlp.register_forward_pre_hook(self._mapper),
            networks.anonymous_net.register_forward_pre_hook(self._decoder),
        ]

    def _mapper(self, module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        self._seen.append(arguments)

    def _decoder(self, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        self._seen[-1] += (arguments[0], arguments[2])

    def _column(self, number: int) -> Tensor:
        return torch.cat([row[number] for row in self._seen])

    @property
    def identity(self) -> Tensor:
        """What steers the style mappers, `[B, n]`."""
        return self._column(0)

    @property
    def geometry(self) -> Tensor:
        """The coefficients beside it, `[B, k]`."""
        return self._column(1)

    @property
    def images(self) -> Tensor:
        """What the decoder's encoder sees, `[B, 3, S, S]` in `[-1, 1]`."""
        return self._column(2)

    @property
    def password(self) -> Tensor:
        """What is hidden, `[B, n, 32]`."""
        return self._column(3)

    def __enter__(self) -> "Spy":
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()
