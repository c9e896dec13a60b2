"""Evidence made by hand for the recovery protocols."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from anonbench.values import Bits, Crops, Distances, Embeddings, Pair, Sample


@dataclass
class Gallery:
    """Images named `person/number` with their original and recovered crops, or their bits.

    Implements Dataset and Evidence as far as the protocols need them.
    """

    crop_pairs: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    told: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    all_pairs: tuple[Pair, ...] = ()
    hidden: Bits | None = None
    vectors: dict[str, tuple[list[float], list[float]]] = field(default_factory=dict)
    needs_latent: bool = False

    @property
    def latent_bytes(self):
        return 100 if self.needs_latent else 0

    @property
    def method(self):
        return SimpleNamespace(needs_latent=self.needs_latent)

    def samples(self):
        hidden = self.hidden.ids if self.hidden else ()
        names = {*self.crop_pairs, *self.told, *self.failed, *hidden, *self.vectors}
        names |= {name for pair in self.all_pairs for name in (pair.a, pair.b)}
        return [Sample(name, name.split("/")[0]) for name in sorted(names)]

    def pairs(self):
        return self.all_pairs

    def lacks(self, source):
        return ""

    def crops(self, *sources):
        assert sources == ("original", "recovered")
        for name, images in self.crop_pairs.items():
            yield Crops(name, images)
        for name, why in self.failed.items():
            yield Crops(name, failed=why)

    def distances(self, source, judge):
        assert source == "recovered"
        return Distances(tuple(self.told), np.array(list(self.told.values())), self.failed)

    def embeddings(self, source, judge, seed=None):
        side = ("reference", "recovered").index(source)
        vectors = [both[side] for both in self.vectors.values()]
        found = np.array([bool(side) or name != "a/1" for name in self.vectors])
        return Embeddings(tuple(self.vectors), np.array(vectors, np.float32), found, self.failed)

    def bits(self):
        return self.hidden
