"""Where the article and its authors' public code differ, as one typed configuration.

The twelve differences are listed in shared/reference/METHODS.md, section 1, in this order.
`PAPER` follows the text of Yang et al. (2024), `CODE` the repository Harxis/G2Face (2bfcc82).
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from anonbench.nets.float_bits import Guard


class Variant(BaseModel):
    """One reading of G²Face; the default is that of the authors' code.

    Attributes:
        betas: Of Adam (difference 1).
        anonymized_reconstruction: L1 and LPIPS also between original and anonymized image (2);
            absent from Eq. 22.
        hides: What is hidden in training: the bits of the image's identity (Alg. 1) or of random
            N(0, 1) embeddings (3).
        recovery_from: Which identity the recovery in training gets: the one extracted from the
            anonymized image (Alg. 1) or the true one (4).
        joint: One update for both stages, with gradients through the anonymized image (Alg. 1),
            or one per stage with that image detached (4).
        mask_selects: What a mask of one lets through (5): Eq. 8 says the face's features.
        mask_norm: Instance normalisation of the masks' logits (6).
        diversity_over: Ordered pairs of different images (Eq. 16), or all N² of them (7).
        discriminator_sees: Both kinds of fakes in each step, or one kind per
            step in turn (8); `anonymized` alone is the demo's.
        reduction: Norms of Eqs. 11, 17 and 19 summed as written, or averaged (9).
        extractor: E_p as five plain convolutions, or with branched blocks between the first and
            the last (10).
        noise: Noise inputs of StyleGAN2 (11): fixed by the sample's key, as this suite's results
            need it, or drawn afresh in every call, as the authors do.
        recovery_hides: What is hidden in a recovered image: its own identity or random bits (12).
        guard: What is done about implausible floats among extracted ones.
        generative_prior: GENP of Table VI: start the decoder from StyleGAN2 trained on faces.
        geometric_prior: GEOP of Table VI: steer the decoder by 3DMM coefficients.
        fusion: IFF of Table VI: blend in the features of the original face.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    betas: tuple[float, float] = (0.0, 0.999)
    anonymized_reconstruction: bool = True
    hides: Literal["identity", "random"] = "random"
    recovery_from: Literal["extracted", "true"] = "true"
    joint: bool = False
    mask_selects: Literal["generated", "face"] = "generated"
    mask_norm: bool = True
    diversity_over: Literal["pairs", "all"] = "all"
    discriminator_sees: Literal["both", "alternate", "anonymized"] = "alternate"
    reduction: Literal["sum", "mean"] = "mean"
    extractor: Literal["plain", "branched"] = "branched"
    noise: Literal["key", "fresh"] = "key"
    recovery_hides: Literal["identity", "random"] = "random"
    guard: Guard = "clamp50"
    generative_prior: bool = True
    geometric_prior: bool = True
    fusion: bool = True


CODE = Variant()
PAPER = Variant(
    betas=(0.9, 0.99),
    anonymized_reconstruction=False,
    hides="identity",
    recovery_from="extracted",
    joint=True,
    mask_selects="face",
    mask_norm=False,
    diversity_over="pairs",
    discriminator_sees="both",
    reduction="sum",
    extractor="plain",
    recovery_hides="identity",
)
PRESETS: dict[str, Variant] = {"code": CODE, "paper": PAPER}
