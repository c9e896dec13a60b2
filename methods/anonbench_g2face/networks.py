"""The networks of G²Face that are its own, as its authors' checkpoint holds them.

Recogniser and 3D reconstruction, which stay as others trained them, are in `anonbench.nets`; so is
what other methods share with G²Face (`anonbench.nets.fusion`).
"""

from collections.abc import Mapping

from torch import Tensor, nn

from anonbench.errors import BadData
from anonbench.nets.fusion import Architecture, FusionNetworks
from anonbench.nets.state import load_state
from anonbench.nets.stylegan2 import SLOPE


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


class G2FaceNetworks(FusionNetworks):
    """All that the authors' `G2Face.pth` holds; the children are its four entries.

    Args:
        architecture: Sizes; the default is the published 256-pixel network.
    """

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__(architecture)
        self.map_2_id = DummyIdentity(self.architecture.identity)

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
