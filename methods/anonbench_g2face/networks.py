"""The networks of G²Face that are its own, as its authors' checkpoint holds them.

Recogniser and 3D reconstruction, which stay as others trained them, are in `anonbench.nets`; so is
what other methods share with G²Face (`anonbench.nets.fusion`).
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from anonbench.errors import BadData
from anonbench.nets.fusion import Architecture, FusionDecoder, PasswordExtractor, StyleMappers
from anonbench.nets.state import load_state
from anonbench.nets.stylegan2 import SLOPE, Discriminator

# Among the 257 coefficients of D3DFR: 80 of shape and 64 of expression; three angles.
_SHAPE_AND_EXPRESSION, _ANGLES = slice(0, 144), slice(224, 227)


def geometry_of(coefficients: Tensor) -> Tensor:
    """The coefficients `[B, 147]` that steer the decoder: shape, expression, pose (Eq. 2).

    Args:
        coefficients: `[B, 257]`, as D3DFR's network gives them.
    """
    return torch.cat([coefficients[:, _SHAPE_AND_EXPRESSION], coefficients[:, _ANGLES]], dim=1)


class DummyIdentity(nn.Module):
    """Draws identities: noise to embeddings with the recogniser's statistics (`f_dummy`).

    Args:
        identity: Length of the noise and of the embedding.
    """

    def __init__(self, identity: int) -> None:
        super().__init__()
        self.map_2_id = nn.Sequential(
            nn.Linear(identity, identity),
            nn.LeakyReLU(SLOPE),
            nn.Linear(identity, identity),
            nn.LeakyReLU(SLOPE),
            nn.BatchNorm1d(identity),
        )

    def forward(self, z: Tensor) -> Tensor:
        """Noise `[B, identity]` from N(0, 1) to embeddings `[B, identity]`, not normalised."""
        embeddings: Tensor = self.map_2_id(z)
        return embeddings


class G2FaceNetworks(nn.Module):
    """All that the authors' `G2Face.pth` holds; the attributes are its four entries.

    Args:
        architecture: Sizes; the default is the published 256-pixel network.
    """

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__()
        self.architecture = architecture or Architecture()
        self.anonymous_net = FusionDecoder(self.architecture)
        self.map_2_id = DummyIdentity(self.architecture.identity)
        self.style_mlp = StyleMappers(self.architecture)
        self.hiding_extractor = PasswordExtractor(
            self.architecture.extractor, self.architecture.extractor_width
        )

    def load(self, checkpoint: Mapping[str, Mapping[str, Tensor]], *, source: str) -> None:
        """Load a checkpoint, key for key; entries of training (optimizers ...) are left aside.

        Args:
            checkpoint: State dicts by the names of the four networks.
            source: What a message calls it, e.g. its path.

        Raises:
            BadData: A network is missing, or its keys or shapes differ.
        """
        networks = dict(self.named_children())
        missing = sorted(networks.keys() - checkpoint.keys())
        if missing:
            raise BadData(f"{source} lacks the entries {', '.join(missing)} of G²Face.")
        for name, network in networks.items():
            load_state(network, checkpoint[name], source=f"Entry '{name}' of {source}")


def recogniser_input(images: Tensor) -> Tensor:
    """What G²Face shows its recogniser: the whole 256-pixel crop at 112 pixels, nearest neighbour.

    Args:
        images: `[B, 3, 256, 256]` in `[-1, 1]`. No five-point warp follows, unlike for ArcFace.
    """
    return functional.interpolate(images, (112, 112), mode="nearest")


def discriminator(architecture: Architecture) -> Discriminator:
    """The discriminator of the training (entry `discriminator` of training checkpoints)."""
    return Discriminator(architecture.sizes)
