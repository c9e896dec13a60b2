"""Trained networks with their priors, and the way of images, identities and bits through them.

Images are `[B, 3, S, S]`; those that come from outside are in `[0, 1]` and become `[-1, 1]` by
`Model.signed`. What is random about an image comes from its key alone, by generators on the CPU, so
that it depends neither on the device nor on the other images of a batch.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic

import torch
from torch import Tensor, nn

from anonbench import weights
from anonbench.cards import MethodCard
from anonbench.data.align import template
from anonbench.errors import BadConfig, BadData
from anonbench.generative.appearance import AppearancePrior, Renderer
from anonbench.generative.bundle import N, States
from anonbench.generative.demo_priors import DemoIdentity, LandmarkPrior
from anonbench.generative.priors import (
    ArcFaceIdentity,
    D3dfrGeometry,
    GeometricPrior,
    Identifier,
    Morphology,
    NoGeometry,
    geometry_of,
)
from anonbench.nets import d3dfr
from anonbench.nets.dlib_resnet import DlibFaceResNet
from anonbench.nets.folding import fold_norms
from anonbench.nets.fusion import FusionNetworks
from anonbench.nets.state import load_state
from anonbench.nets.stylegan2 import draw_noise


@dataclass(frozen=True)
class Model(Generic[N]):
    """All that anonymizing and recovering take, for inference.

    Attributes:
        networks: The method's own.
        identity: Who is in an image.
        geometry: How the face is shaped.
        render: Draws the faces of identities `[B, n]` into images, for a decoder that has not
            learned faces before; the demos'.
    """

    networks: N
    identity: Identifier
    geometry: GeometricPrior
    render: Callable[[Tensor, Tensor], Tensor] | None = None

    def on(self, device: str) -> "Model[N]":
        """The same, ready for inference on a device, batch normalisations folded."""
        for module in vars(self).values():
            if isinstance(module, nn.Module):
                fold_norms(module.eval().requires_grad_(False))
                module.to(device)
        return self

    def require_fit(self, card: MethodCard, bits: int) -> None:
        """Make sure that the networks are of the size that the card promises.

        Args:
            card: Of the method, with its checkpoint chosen.
            bits: Different bits that the networks hide.

        Raises:
            BadConfig: They are not.
        """
        found = self.networks.architecture.sizes.image, bits
        wanted = template(card.template).size, card.hidden_bits
        if found != wanted:
            raise BadConfig(
                f"The weights of {card.title} are for {found[0]} pixels and {found[1]} bits, the "
                f"checkpoint '{card.config['checkpoint']}' for {wanted[0]} and {wanted[1]}.",
                mend="Choose the checkpoint whose size they were trained for.",
            )

    def signed(self, images: Tensor) -> Tensor:
        """Crops in `[0, 1]` as networks take them: in `[-1, 1]`, in two steps as authors do.

        Raises:
            BadData: They have another size.
        """
        side = self.networks.architecture.sizes.image
        if images.shape[1:] != (3, side, side):
            raise BadData(
                f"These weights take RGB crops of {side} x {side} pixels, not "
                f"{' x '.join(map(str, images.shape[1:]))}.",
                mend=f"Align faces to the template 'ffhq-{side}'.",
            )
        return ((images - 0.5) / 0.5).contiguous()  # memory order decides last bits, too

    # One image at a time: in another batch a convolution may round differently. That would be
    # another last bit, and it is bits that are hidden, read and compared.
    def embed(self, images: Tensor) -> Tensor:
        """Identities `[B, n]` of images in `[-1, 1]`."""
        return torch.cat([self.identity.embed(image[None]) for image in images])

    def extract(self, images: Tensor) -> Tensor:
        """Logits `[B, n, 32]` of the password in images in `[-1, 1]`."""
        extractor = self.networks.hiding_extractor
        return torch.cat([extractor(image[None]) for image in images])

    def synthesize(
        self, images: Tensor, identity: Tensor, bits: Tensor, generators: Sequence[torch.Generator]
    ) -> Tensor:
        """Render images under an identity.

        Args:
            images: `[B, 3, S, S]` in `[-1, 1]`.
            identity: `[B, n]`, whose faces they get.
            bits: `[B, n, 32]`, what is hidden.
            generators: B of them, of the decoder's noise.

        Returns:
            `[B, 3, S, S]` in `[0, 1]`.
        """
        networks = self.networks
        wplus = networks.style_mlp(identity, self.geometry.coefficients(images))
        maps = draw_noise(networks.architecture.sizes, generators)
        noise = [one.to(images.device) for one in maps]
        drawn = self.render(identity, images) if self.render else None
        output: Tensor = networks.anonymous_net(images, wplus, bits, noise, drawn)
        return ((output.float() + 1) / 2).clamp(0, 1)


def key_stream(key: bytes, purpose: str) -> torch.Generator:
    """A generator on the CPU for one use of a key; uses do not share numbers."""
    digest = hashlib.sha256(purpose.encode() + b"\0" + key).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big"))


def drawn_noise(keys: Sequence[bytes], length: int) -> Tensor:
    """Noise `[B, length]` from N(0, 1), of which new identities are made: by each sample's key."""
    return torch.stack([torch.randn(length, generator=key_stream(k, "z")) for k in keys])


def noise_streams(keys: Sequence[bytes], *, fresh: bool) -> list[torch.Generator]:
    """Generators of the decoder's noise, one per key; or `fresh` ones, which nobody can repeat."""
    generators = [key_stream(key, "noise") for key in keys]
    if fresh:
        for generator in generators:
            generator.seed()
    return generators


def drawn_bits(keys: Sequence[bytes], shape: tuple[int, ...]) -> Tensor:
    """Bits `[B, *shape]` in the place of a password: a placeholder by each sample's key."""
    return torch.stack(
        [torch.randint(2, shape, generator=key_stream(k, "placeholder")).bool() for k in keys]
    )


def one_of(card: MethodCard, name: str, choices: tuple[Any, ...]) -> Any:
    """A parameter that must be one of some words.

    Raises:
        BadConfig: It is none of them.
    """
    value = card.config[name]
    if value not in choices:
        raise BadConfig(
            f"{card.name}:{name} must be {' or '.join(choices)}, not '{value}'.",
            mend=f"Write {card.name}:{name}={choices[0]}",
        )
    return value


# ------------------------------------------------------------------------- networks with priors
def with_demo_priors(
    networks: N, states: States, source: str, recogniser: DlibFaceResNet | None = None
) -> Model[N]:
    """Networks and the demo's priors.

    Args:
        networks: The networks, loaded.
        states: State dicts of the fitted priors by name.
        source: What a message calls the file with both.
        recogniser: In place of dlib's, which is read where there is none.

    Raises:
        MissingArtefact: dlib's weights have not been fetched.
        BadData: A prior is missing or does not fit.
    """
    missing = [name for name in ("identity", "geometry", "appearance") if name not in states]
    if missing:
        raise BadData(
            f"{source} holds no fitted {' and no fitted '.join(missing)}.",
            mend='Name a bundle that was trained with `priors = "demo"`.',
        )
    identity, appearance = DemoIdentity(recogniser), AppearancePrior()
    basis = states["geometry"].get("basis", torch.empty(0))
    first = states["geometry"].get("layers.0.0.weight", torch.empty(8))
    geometry = LandmarkPrior(size=len(basis), width=len(first))
    for name, part in (("identity", identity), ("geometry", geometry), ("appearance", appearance)):
        load_state(part, states[name], source=f"Part '{name}' of {source}")
    steered = _steered(networks, len(geometry.basis))
    return Model(
        networks, identity, geometry if steered else NoGeometry(), Renderer(appearance, geometry)
    )


def with_official_priors(networks: N, morphology: Morphology = "shape+expression") -> Model[N]:
    """Networks with ArcFace and Deep3DFaceRecon.

    Raises:
        MissingArtefact: Their weights are not on this machine; it names all that are missing.
        BadData: The networks were trained with other priors.
    """
    weights.require_by_hand(["arcface-r50-ms1mv3", "d3dfr"])
    steered = _steered(networks, geometry_of(torch.zeros(1, d3dfr.DIM), morphology).shape[1])
    geometry = D3dfrGeometry.load(morphology) if steered else NoGeometry()
    return Model(networks, ArcFaceIdentity.load(), geometry)


def _steered(networks: FusionNetworks, size: int) -> bool:
    """Whether coefficients steer the decoder: as many as the prior gives, or none."""
    expected = networks.architecture.geometry
    if expected not in (0, size):
        raise BadData(
            f"The weights want {expected} coefficients, the prior gives {size}.",
            mend="Choose the checkpoint whose priors they were trained with.",
        )
    return expected > 0
