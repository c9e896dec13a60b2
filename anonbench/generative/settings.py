"""What every training of a generative method can be told; each method adds its own."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from anonbench.nets.stylegan2 import Sizes

_Points = tuple[tuple[int, float], ...]


def _ordered(points: _Points) -> _Points:
    steps = [step for step, _ in points]
    if steps != sorted(set(steps)):
        raise ValueError("the steps of a schedule must rise")
    return points


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


class Table(BaseModel):
    """A table of a configuration: nothing unknown may stand in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Rates(Table):
    """How learning rates change.

    Attributes:
        warmup: Steps over which they rise from 0.
        decay: Factor on them every `decay_every` steps after the warm-up.
        decay_every: See `decay`.
    """

    warmup: Annotated[int, Field(ge=0)] = 0
    decay: float = 1.0
    decay_every: Annotated[int, Field(ge=1)] = 1

    def rate(self, step: int) -> float:
        """Factor on all learning rates at a step."""
        rise = min(1.0, (step + 1) / max(1, self.warmup))
        return float(rise * self.decay ** (max(0, step - self.warmup) // self.decay_every))


class LossWeights(Table):
    """Weights of the losses that any method may have; 0 leaves one out.

    Attributes:
        adversarial: Of deceiving the discriminator.
        r1: Of the discriminator's gradient penalty.
        recovered_face: Of L1 and LPIPS of the recovered faces alone; this and all below are the
            demos'.
        swap: Of the same between anonymized images and face swaps.
        rendered: Of the same between the other anonymized images and the faces that the priors
            draw for them.
    """

    adversarial: Schedule = 1.0
    r1: Schedule = 5.0
    recovered_face: Schedule = 0.0
    swap: Schedule = 0.0
    rendered: Schedule = 0.0


class TrainingSettings(Rates):
    """How to train; how learning rates change says `Rates`.

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
        weights: Of the losses.
        learning_rate: Of new parts.
        prior_learning_rate: Of the StyleGAN2 decoder, which published methods start from
            pretrained weights.
        discriminator_learning_rate: Of the discriminator.
        clip: Longest gradient of an update, 0 for any.
        r1_every: Steps between gradient penalties.
        lpips: Trunk of the perceptual loss.
        quantized: Show extractor and recovery the anonymized images at 8 bits, as they would be
            published; neither articles nor code do.
        extractor_noise: Standard deviation of the noise on images in [-1, 1] before the
            extractor; articles give no number, the code of G²Face's authors has 0.01.
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
    weights: LossWeights = LossWeights()
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    prior_learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    discriminator_learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    warmup: Annotated[int, Field(ge=0)] = 21_870
    decay: float = 0.95
    decay_every: Annotated[int, Field(ge=1)] = 2_187
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

    @property
    def sizes(self) -> Sizes:
        """Of decoder, encoder and discriminator."""
        return Sizes(self.image, self.style, self.channel_base, self.channel_max)
