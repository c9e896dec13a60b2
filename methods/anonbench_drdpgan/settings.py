"""What the training of DR-DPGAN can be told: table `[training]` of its configuration."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from anonbench.generative.priors import Morphology
from anonbench.generative.settings import LossWeights, Schedule, TrainingSettings
from anonbench.nets.fusion import Editing
from anonbench_drdpgan.ablations import Parts, by_row
from anonbench_drdpgan.fake_identity import PAPER_RANGE, Range
from anonbench_drdpgan.networks import FUSION, Build, CodeName

Preset = Literal["paper", "practical"]

_RECONSTRUCTION = {"paper": 0.0, "practical": 1.0}


class Weights(LossWeights):
    """Weights of the losses; the defaults are the article's (section 4.1.2).

    Attributes:
        discriminative: λ_dic (Eq. 10), of what the Critic learns. Where it is always 0, there is
            no Critic.
        identity: λ_id of the anonymization (Eq. 11).
        information: λ_info of the anonymization (Eq. 15).
        recovered_identity: λ_id of the recovery (Eq. 12).
        recovered_information: λ_info of the recovery.
        reconstruction: λ_rec, of L1 and of LPIPS between recovered images and originals (Eq. 11
            of G²Face); not in Eq. 16.
    """

    discriminative: Schedule = 1.0
    identity: Schedule = 1.0
    information: Schedule = 5.0
    recovered_identity: Schedule = 1.0
    recovered_information: Schedule = 5.0
    reconstruction: Schedule = 0.0


class Settings(TrainingSettings):
    """How to train DR-DPGAN; the defaults follow the article, or the reading chosen for it.

    Attributes:
        weights: Of the losses.
        preset: Where `weights` do not say it: λ_rec is 0 in `paper`, as in Eq. 16, and 1 in
            `practical`.
        parts: The switches of Table 4: a table, or the number or name of a row (5, `FIG+E_G`).
        code: What is hidden: the bits of the identity's floats (`ieee754`), or a `learned` code.
        code_bits: Length l of the learned code.
        code_steps: Steps in which its mapping and decoder learn, before all others.
        code_settling: Steps in which its decoder goes on alone.
        low: s_min, the least cosine of fake and original identity.
        high: s_max, the greatest.
        refine: Finish every fake identity by Algorithm 1 before it is used.
        fake_rate: η of Algorithm 1, which gives no number.
        fake_limit: Updates of the refinement at most.
        fake_steps: Steps in which the demo teaches the generator what identities look like.
        morphology: F_emo: 80 coefficients of shape and 64 of expression, or the latter alone.
        editing: Eq. 8 by modulated convolutions as StyleGAN2 has them, or by AdaIN as written.
        generative_prior: Start the decoder from StyleGAN2 trained on faces.
        start_from: Bundle (a path, or `PACKAGE/FILE`) of this method or of G²Face to start from.
        betas: Of Adam; the article gives none, these are those of G²Face's.
        joint: One update for both stages, with gradients through the anonymized image, or one
            per stage with that image detached.
        recovery_from: Which identity the recovery in training gets: the one `extracted` from the
            anonymized image, or the `true` one.
        recovery_hides: What is hidden in a recovered image: its own identity or a random one.
        critic_deceived: The generator gets λ_dic (1 - Critic(X_gen))², too.
        extractor_noise: Standard deviation of ε (Eq. 13), of which the article says "small"; that
            of the code of G²Face's authors.
    """

    weights: Weights = Weights()
    preset: Preset = "paper"
    parts: Annotated[Parts, BeforeValidator(by_row)] = Parts()
    code: CodeName = "ieee754"
    code_bits: Annotated[int, Field(gt=0)] = 512
    code_steps: Annotated[int, Field(ge=0)] = 2000
    code_settling: Annotated[int, Field(ge=0)] = 1000
    low: float = PAPER_RANGE.low
    high: float = PAPER_RANGE.high
    refine: bool = True
    fake_rate: Annotated[float, Field(gt=0)] = 0.01
    fake_limit: Annotated[int, Field(ge=0)] = 200
    fake_steps: Annotated[int, Field(ge=0)] = 1500
    morphology: Morphology = "shape+expression"
    editing: Editing = "modulated"
    generative_prior: bool = True
    start_from: str = ""
    betas: tuple[float, float] = (0.9, 0.99)
    joint: bool = True
    recovery_from: Literal["extracted", "true"] = "extracted"
    recovery_hides: Literal["identity", "random"] = "identity"
    critic_deceived: bool = False
    extractor_noise: Annotated[float, Field(ge=0)] = 0.01

    @model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, table: Any) -> Any:
        """Write what the preset says into the weights, unless these say it themselves."""
        if not isinstance(table, Mapping):
            return table
        weights = table.get("weights", {})
        reconstruction = _RECONSTRUCTION.get(str(table.get("preset", "paper")))
        if not isinstance(weights, Mapping) or reconstruction is None:
            return table
        return {**table, "weights": {"reconstruction": reconstruction, **weights}}

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.generative_prior and self.start_from:
            raise ValueError("generative_prior and start_from each say where to start: choose one")
        if self.priors == "demo" and self.morphology == "expression":
            raise ValueError("the demo's priors cannot tell expression from shape")
        if not -1 <= self.low <= self.high <= 1:
            raise ValueError(f"no cosine lies between low = {self.low} and high = {self.high}")
        return self

    @property
    def wanted(self) -> Range:
        """Cosines that fake identities shall have to original ones."""
        return Range(self.low, self.high)

    def build(self, identity: int, geometry: int) -> Build:
        """How the networks are built.

        Args:
            identity: Floats of the recogniser's embedding.
            geometry: Coefficients that steer the decoder, where there is 3DPC.
        """
        architecture = FUSION(
            sizes=self.sizes,
            identity=identity,
            geometry=geometry if self.parts.geometric_prior else 0,
            rows=self.rows,
            mapper_rate=self.mapper_rate,
            encoder_norm=self.encoder_norm,
            fusion=self.parts.fusion,
            extractor_width=self.extractor_width,
            editing=self.editing,
        )
        return Build(architecture, self.code, self.code_bits, self.parts.guided, self.wanted)
