"""What the training of RiDDLE can be told: table `[training]` of its configuration."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from anonbench.generative.settings import Table

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Weights(Table):
    """Weights of the losses in `anonbench_riddle.losses`; the defaults are the authors' script's.

    Attributes:
        perceptual: Of LPIPS between the original and each output.
        encryption: Of the identities of encrypted faces.
        decryption: Of the identities that wrong passwords give.
        intra: Of what the last two say about two wrong identities, relative to the rest of them.
        recovered_identity: Of the recovered identity.
        pixels: Of L1 between the original and each output.
        parsing: Of where eyes, nose and mouth are; 0.1 in the authors' other script. 0 does
            without the face parser.
    """

    perceptual: Weight = 1.0
    encryption: Weight = 1.0
    decryption: Weight = 1.0
    intra: Weight = 0.0
    recovered_identity: Weight = 1.0
    pixels: Weight = 0.05
    parsing: Weight = 0.0

    def of_losses(self) -> dict[str, float]:
        """The weights of those losses that have one."""
        return {name: value for name, value in self if value and name != "intra"}

    @model_validator(mode="after")
    def _train_something(self) -> Self:
        if not self.of_losses():
            raise ValueError("all weights are 0: nothing would be trained")
        return self


class Settings(Table):
    """How to train the latent encryptor.

    Attributes:
        weights: Of the losses.
        learning_rate: Of Ranger, from the first step to the last.
        floor: Cosine of identities below which they are different enough.
    """

    weights: Weights = Weights()
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 5e-4
    floor: Annotated[float, Field(ge=-1, le=1)] = 0.1
