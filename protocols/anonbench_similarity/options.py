"""The settings of the similarity protocols, checked before anything is computed."""

from pydantic import Field

from anonbench.measuring.images import BootstrapOptions, ImageOptions


class SimilarityOptions(ImageOptions):
    """Settings of `celebahq-similarity`: also with how many seeds every image is anonymized."""

    seeds: int = Field(ge=1)


class MappingOptions(BootstrapOptions):
    """Settings of protocols that draw a t-SNE map."""

    perplexity: float = Field(gt=0)
    seed: int = Field(ge=0)


class DiversityOptions(MappingOptions):
    """Settings of `diversity`: how many faces get how many dummy identities."""

    faces: int = Field(ge=1)
    identities: int = Field(ge=2)


class MapOptions(MappingOptions):
    """Settings of `identity-map`: how many people, and at most how many images of each."""

    people: int = Field(ge=2)
    images: int = Field(ge=2)
