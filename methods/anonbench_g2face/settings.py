"""What the training of G²Face can be told: table `[training]` of its configuration."""

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from anonbench.nets.fusion import Architecture
from anonbench.nets.stylegan2 import Sizes
from anonbench_g2face.ablations import ABLATIONS
from anonbench_g2face.config import CODE, PRESETS, Variant

_Points = tuple[tuple[int, float], ...]


def _ordered(points: _Points) -> _Points:
    steps = [step for step, _ in points]
    if steps != sorted(set(steps)):
        raise ValueError("the steps of a schedule must rise")
    return points


def _by_name(variant: Any) -> Any:
    """A variant for its name; whatever else is given is left to pydantic."""
    if not isinstance(variant, str):
        return variant
    named = PRESETS | ABLATIONS
    if variant not in named:
        raise ValueError(f"'{variant}' is none of {', '.join(named)}")
    return named[variant]


Schedule = float | Annotated[_Points, Field(min_length=1), AfterValidator(_ordered)]
"""A number, or (step, number) pairs in order, between which it changes linearly."""


def at(schedule: Schedule, step: int) -> float:
    """The value of a schedule at a step."""
    if isinstance(schedule, float):
        return schedule
    (_, value), *_ = schedule
    for (start, low), (end, high) in pairwise(schedule):
        if step >= start:
            value = low + (high - low) * min(1.0, (step - start) / (end - start))
    return value


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Weights(_Table):
    """Weights of the losses; the defaults are the article's.

    Attributes:
        reconstruction: λ_rec, of L1 and of LPIPS (Eq. 11).
        adversarial: λ_adv (Eq. 12).
        identity: λ_id of the anonymization (Eq. 13).
        diversity: λ_div (Eq. 16).
        geometry: λ_geo (Eq. 20).
        hiding: λ_hide of the anonymization (Eq. 21).
        recovered_hiding: The same of the recovery.
        r1: Of the gradient penalty.
        recovered_identity: λ_id of the recovery (Eq. 14).
        recovered_face: Of L1 and LPIPS of the recovered faces alone; this and all below are the
            demo's.
        swap: Of the same between anonymized images and face swaps.
        rendered: Of the same between the other anonymized images and the faces that the priors
            draw for them.
    """

    reconstruction: Schedule = 1.0
    adversarial: Schedule = 1.0
    identity: Schedule = 1.0
    diversity: Schedule = 1.0
    geometry: Schedule = 1.0
    hiding: Schedule = 10.0
    recovered_hiding: Schedule = 10.0
    r1: Schedule = 5.0
    recovered_identity: Schedule = 1.0
    recovered_face: Schedule = 0.0
    swap: Schedule = 0.0
    rendered: Schedule = 0.0


class Settings(_Table):
    """How to train.

    Attributes:
        priors: `official` (ArcFace and D3DFR) or `demo` (dlib and a landmark model).
        image: Side of the crops in pixels.
        style: Length of a style code.
        channel_base: Channels times resolution of decoder, encoder and discriminator.
        channel_max: Most channels of a layer.
        rows: Decoder layers per style mapper.
        mapper_rate: Learning rate of the style mappers relative to the new parts'.
        encoder_norm: Instance normalisation in the face encoder.
        extractor_width: Channels of the password extractor.
        variant: The reading of the article: a table, or the name of a preset (`code`, `paper`) or
            of a row of Table VI (`GENP+IFF`), which is the code's reading without the other parts.
        weights: Of the losses.
        learning_rate: Of new parts.
        prior_learning_rate: Of the StyleGAN2 decoder, which the published method starts from
            pretrained weights.
        discriminator_learning_rate: Of the discriminator.
        warmup: Steps over which learning rates rise from 0.
        decay: Factor on them every `decay_every` steps after the warm-up.
        decay_every: See `decay`.
        clip: Longest gradient of an update, 0 for any.
        r1_every: Steps between gradient penalties.
        lpips: Trunk of the perceptual loss.
        quantized: Show extractor and recovery the anonymized images at 8 bits, as they would be
            published; neither article nor code does.
        extractor_noise: Standard deviation of ε in Eq. 21, noise on images in [-1, 1] before the
            extractor; the article gives no number, the authors' code has 0.01.
        ada_target: Of the adaptive augmentation of what the discriminator sees, 0 for none.
        swapped: Share of a batch that is taught by face swaps and gets their identities.
        candidates: Donors among which the one with the most similar landmarks is taken.
        disturbed: Show the recogniser a slightly moved, recoloured copy of anonymized images.
        fit_steps: Steps of fitting the demo's landmark prior.
    """

    priors: Literal["official", "demo"] = "official"
    image: int = 256
    style: int = 512
    channel_base: int = 32_768
    channel_max: int = 512
    rows: tuple[int, int, int] = (6, 6, 2)
    mapper_rate: float = 0.01
    encoder_norm: bool = True
    extractor_width: int = 128
    variant: Annotated[Variant, BeforeValidator(_by_name)] = CODE
    weights: Weights = Weights()
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    prior_learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    discriminator_learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    warmup: int = 21_870
    decay: float = 0.95
    decay_every: int = 2_187
    clip: float = 0.0
    r1_every: int = 16
    lpips: Literal["alex", "vgg"] = "vgg"
    quantized: bool = True
    extractor_noise: Annotated[float, Field(ge=0)] = 0.0
    ada_target: Annotated[float, Field(ge=0, lt=1)] = 0.0
    swapped: Schedule = 0.0
    candidates: int = 64
    disturbed: bool = False
    fit_steps: int = 800

    def architecture(self, identity: int, geometry: int) -> Architecture:
        """The networks' sizes.

        Args:
            identity: Floats of the recogniser's embedding.
            geometry: Coefficients that steer the decoder, where the variant has the prior.
        """
        return Architecture(
            sizes=Sizes(self.image, self.style, self.channel_base, self.channel_max),
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

    def rate(self, step: int) -> float:
        """Factor on all learning rates at a step."""
        rise = min(1.0, (step + 1) / max(1, self.warmup))
        return float(rise * self.decay ** (max(0, step - self.warmup) // self.decay_every))
