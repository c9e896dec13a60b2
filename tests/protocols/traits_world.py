"""What judges say of faces, made by hand, for the utility protocol."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from anonbench.values import Sample, Traits

Said = Mapping[str, np.ndarray] | None


@dataclass
class Booth:
    """Traits of the reference and the published crop by image; None where there is no face.

    Implements Dataset and Evidence as far as the protocol needs them. What is in `failed` was
    never described. A missing face still has values, as it does in the engine's rows.
    """

    told: Mapping[str, tuple[Said, Said]]
    failed: dict[str, str] = field(default_factory=dict)
    side: int = 256
    traits_of_nobody: Mapping[str, int] = field(default_factory=dict)

    def samples(self):
        return [Sample(name, name.split("/")[0]) for name in sorted({*self.told, *self.failed})]

    def traits(self, judge, *sources):
        assert sources == ("reference", "published")
        yield from (Traits(name, failed=why) for name, why in self.failed.items())
        for name, both in self.told.items():
            values = tuple(said if said is not None else self._nothing() for said in both)
            yield Traits(name, values, tuple(said is not None for said in both))

    def _nothing(self):
        shapes = {key: value.shape for key, value in self._any().items()}
        return {key: np.full(shape, 1e6) for key, shape in shapes.items()}

    def _any(self):
        known = (said for both in self.told.values() for said in both if said is not None)
        return next(known, {key: np.zeros(n) for key, n in self.traits_of_nobody.items()})
