"""People with several images each, whose embeddings and crops are made by hand."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from anonbench.values import Crops, Embeddings, Sample

Make = Callable[[str, str, int], np.ndarray]


@dataclass
class People:
    """Images named `person/number`.

    Implements Dataset and Evidence as far as the protocols need them. `make` gives the vector, or
    the crop, of a source, an image and a seed; `failed` holds (source, id).
    """

    sizes: dict[str, int]
    make: Make
    reversible: bool = True
    seeds: tuple[int, ...] = (0,)
    failed: dict[tuple[str, str], str] = field(default_factory=dict)
    unseen: set[tuple[str, str]] = field(default_factory=set)
    device = "cpu"
    card = SimpleNamespace(name="people")

    def samples(self):
        return sorted(
            (Sample(f"{who}/{n}", who) for who, size in self.sizes.items() for n in range(size)),
            key=lambda sample: sample.id,
        )

    def lacks(self, source):
        return "" if self.reversible or source != "recovered" else "not reversible"

    def embeddings(self, source, judge, seed=None):
        seed = self.seeds[0] if seed is None else seed
        assert judge and seed in self.seeds and not self.lacks(source)
        ids = [s.id for s in self.samples() if (source, s.id) not in self.failed]
        vectors = [self.make(source, i, seed) for i in ids]
        return Embeddings(
            ids=tuple(ids),
            vectors=np.array(vectors, np.float32) if vectors else np.empty((0, 0), np.float32),
            found=np.array([(source, i) not in self.unseen for i in ids], dtype=bool),
            failed={i: why for (kind, i), why in self.failed.items() if kind == source},
        )

    def crops(self, *sources):
        for sample in self.samples():
            why = [self.failed.get((source, sample.id), "") for source in sources]
            if any(why):
                yield Crops(sample.id, failed=next(filter(None, why)))
            else:
                made = (self.make(s, sample.id, self.seeds[0]) for s in sources)
                yield Crops(sample.id, tuple(made))


def axis_of(image: str, people: int = 4) -> np.ndarray:
    """The unit vector of the person `pN` that an image is of."""
    return np.eye(people)[int(image.split("/")[0].removeprefix("p"))]
