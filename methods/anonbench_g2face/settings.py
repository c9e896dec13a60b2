"""What the training of G²Face can be told: table `[training]` of its configuration."""

from typing import Annotated, Any

from pydantic import BeforeValidator

from anonbench.generative.settings import LossWeights, Schedule, TrainingSettings
from anonbench.nets.fusion import Architecture
from anonbench_g2face.ablations import ABLATIONS
from anonbench_g2face.config import CODE, PRESETS, Variant


def _by_name(variant: Any) -> Any:
    """A variant for its name; whatever else is given is left to pydantic."""
    if not isinstance(variant, str):
        return variant
    named = PRESETS | ABLATIONS
    if variant not in named:
        raise ValueError(f"'{variant}' is none of {', '.join(named)}")
    return named[variant]


class Weights(LossWeights):
    """Weights of the losses; the defaults are the article's.

    Attributes:
        reconstruction: λ_rec, of L1 and of LPIPS (Eq. 11).
        identity: λ_id of the anonymization (Eq. 13).
        diversity: λ_div (Eq. 16).
        geometry: λ_geo (Eq. 20).
        hiding: λ_hide of the anonymization (Eq. 21).
        recovered_hiding: The same of the recovery.
        recovered_identity: λ_id of the recovery (Eq. 14).
    """

    reconstruction: Schedule = 1.0
    identity: Schedule = 1.0
    diversity: Schedule = 1.0
    geometry: Schedule = 1.0
    hiding: Schedule = 10.0
    recovered_hiding: Schedule = 10.0
    recovered_identity: Schedule = 1.0


class Settings(TrainingSettings):
    """How to train G²Face.

    Attributes:
        weights: Of the losses.
        variant: The reading of the article: a table, or the name of a preset (`code`, `paper`) or
            of a row of Table VI (`GENP+IFF`), which is the code's reading without the other parts.
    """

    weights: Weights = Weights()
    variant: Annotated[Variant, BeforeValidator(_by_name)] = CODE

    def architecture(self, identity: int, geometry: int) -> Architecture:
        """The networks' sizes.

        Args:
            identity: Floats of the recogniser's embedding.
            geometry: Coefficients that steer the decoder, where the variant has the prior.
        """
        return Architecture(
            sizes=self.sizes,
            identity=identity,
            geometry=geometry if self.variant.geometric_prior else 0,
            rows=self.rows,
            mapper_rate=self.mapper_rate,
            encoder_norm=self.encoder_norm,
            mask_norm=self.variant.mask_norm,
            mask_selects=self.variant.mask_selects,
            fusion=self.variant.fusion,
            extractor=self.variant.extractor,
            extractor_width=self.extractor_width,
        )
