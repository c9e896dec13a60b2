"""The settings of the similarity protocols, checked before anything is computed."""

from pydantic import Field

from anonbench.measuring.images import ImageOptions


class SimilarityOptions(ImageOptions):
    """Settings of `celebahq-similarity`: also with how many seeds every image is anonymized."""

    seeds: int = Field(ge=1)
