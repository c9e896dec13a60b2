"""A dataset and its embeddings made by hand, for the verification protocols."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from anonbench.registry import protocols
from anonbench.values import Embeddings, Pair, Sample


@dataclass
class World:
    """Pairs of images named `person/number`, and a vector per source and image.

    Implements Dataset and Evidence as far as the protocols need them. What is in `failed` has no
    embedding, what is in `unfound` no detected face; both hold (source, id).
    """

    all_pairs: list[Pair]
    vectors: Mapping[tuple[str, str], np.ndarray]
    failed: dict[tuple[str, str], str] = field(default_factory=dict)
    unfound: set[tuple[str, str]] = field(default_factory=set)
    card = SimpleNamespace(name="world")

    def pairs(self):
        return self.all_pairs

    def samples(self):
        ids = sorted({id_ for pair in self.all_pairs for id_ in (pair.a, pair.b)})
        return [Sample(id_, id_.split("/")[0]) for id_ in ids]

    def lacks(self, source):
        return "" if any(kind == source for kind, _ in self.vectors) else "not reversible"

    def embeddings(self, source, judge):
        keys = [key for key in self.vectors if key[0] == source and key not in self.failed]
        return Embeddings(
            ids=tuple(id_ for _, id_ in keys),
            vectors=np.array([self.vectors[key] for key in keys], dtype=np.float32),
            found=np.array([key not in self.unfound for key in keys]),
            failed={id_: why for (kind, id_), why in self.failed.items() if kind == source},
        )


def protocol(spec: str):
    """The registered protocol for a spec such as `lfw-tar:far=0.1`."""
    card = protocols.parse(spec)
    return protocols.load(card.name)(card)


def random_world(folds: int = 10, per_fold: int = 6, people: int = 6, seed: int = 0) -> World:
    """Subject-disjoint folds; people are clusters in 8 dimensions, published images noisier."""
    rng = np.random.default_rng(seed)
    pairs, vectors = [], {}
    for fold in range(folds):
        names = [f"p{fold}_{person}" for person in range(people)]
        for name in names:
            centre = rng.normal(size=8)
            for number in range(3):
                image = centre + 0.3 * rng.normal(size=8)
                vectors["original", f"{name}/{number}"] = image
                vectors["published", f"{name}/{number}"] = image + 0.5 * rng.normal(size=8)
        for index in range(per_fold):
            name, other = names[index % people], names[(index + 1) % people]
            pairs.append(Pair(fold, f"{name}/0", f"{name}/{1 + index // people % 2}", True))
            pairs.append(Pair(fold, f"{name}/1", f"{other}/{index // people % 3}", False))
    return World(pairs, vectors)
