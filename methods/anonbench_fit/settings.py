"""How FIT is trained: the article's values, and what a small training has besides."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from anonbench.generative.settings import Rates, Schedule, Table
from anonbench_fit.networks import BLOCKS, WIDTH, Scheme


class Weights(Table):
    """Weights of the losses; 0 leaves one out. The defaults are the authors' (config/main.yaml).

    Attributes:
        adversarial: Of deceiving the critics (L_GAN), a mean over the three kinds of images.
        recognition: Of who is seen in them (L_adv, L_rec_cls), likewise.
        feature: Of alike features of two anonymizations (the first L_dis).
        wrong_feature: Of two wrong recoveries (the second).
        apart: Of an anonymization and its wrong recovery (the third).
        password: Of reading the passwords from images before and after (L_aux).
        likeness: Of L1 between anonymized images and originals.
        wrong_likeness: Between wrong recoveries and originals.
        reconstruction: Between recoveries and originals (L_rec).
        swap: Of L1 and LPIPS between anonymized images and face swaps; this and all below are of
            small trainings.
        wrong_swap: Between wrong recoveries and face swaps.
        recovered_face: Of the same between recovered faces and originals.
    """

    adversarial: Schedule = 1.0
    recognition: Schedule = 2.0
    feature: Schedule = 2.0
    wrong_feature: Schedule = 1.0
    apart: Schedule = 1.0
    password: Schedule = 1.0
    likeness: Schedule = 10.0
    wrong_likeness: Schedule = 10.0
    reconstruction: Schedule = 100.0
    swap: Schedule = 0.0
    wrong_swap: Schedule = 0.0
    recovered_face: Schedule = 0.0


class Settings(Rates):
    """How to train FIT; how learning rates change says `Rates`.

    Attributes:
        scheme: Amplitude of the password.
        width: Channels of the generator's first layer.
        blocks: Its residual blocks.
        critic_width: Channels of the first layer of critics and password reader.
        pool: Earlier images that each critic is shown some of, 0 for none.
        recogniser: `sphereface`, trained along on the people of the data, or `dlib` as it is.
        weights: Of the losses.
        learning_rate: Of the generator and the password reader.
        critic_learning_rate: Of the critics.
        recogniser_learning_rate: Of a recogniser that is trained along.
        betas: Of Adam.
        clip: Longest gradient of an update, 0 for any.
        quantized: Recover from anonymized images at 8 bits, as they would be published; the
            authors do not.
        window: Side of the part of each crop that a step sees, about its middle; 0 for all of it.
            The generator knows no places, so it learns from parts what it does to whole frames.
        fixed_from: Step from which normalisations go by statistics of a fixed batch, taken in that
            step, as they do at inference; None for never, as with the authors. A batch's own
            statistics take away its mean colours, which then nothing can recover.
        half: Export the generator in half precision.
        near: Share of wrong passwords in which only one or two bits are wrong.
        donors: Faces that the swaps have; the password's first bits say which.
        averaged: Of how many people each of these is the average.
        lpips: Trunk of their perceptual loss.
    """

    scheme: Scheme = "half"
    width: int = WIDTH
    blocks: int = BLOCKS
    critic_width: int = 64
    pool: Annotated[int, Field(ge=0)] = 500
    recogniser: Literal["sphereface", "dlib"] = "sphereface"
    weights: Weights = Weights()
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    critic_learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    recogniser_learning_rate: Annotated[float, Field(gt=0)] = 1e-5
    betas: tuple[float, float] = (0.5, 0.999)
    clip: float = 0.0
    quantized: bool = False
    window: Schedule = 0.0
    fixed_from: Annotated[int, Field(ge=0)] | None = None
    half: bool = False
    near: Annotated[float, Field(ge=0, le=1)] = 0.0
    donors: Literal[1, 2, 4, 8, 16] = 16
    averaged: Annotated[int, Field(ge=1)] = 1
    lpips: Literal["alex", "vgg"] = "alex"

    @model_validator(mode="after")
    def _pool_of_whole_crops(self) -> Self:
        if self.pool and self.window != 0.0:
            raise ValueError("a pool keeps whole crops: set pool = 0 beside a window")
        return self
