"""Flickr-Faces-HQ (Karras et al. 2019): 70,000 images that are aligned crops themselves."""

import re

from anonbench.data.numbered import Numbered

# https://github.com/NVlabs/ffhq-dataset: "first 60,000 for training and the remaining 10,000
# for validation".
_SPLITS = {"all": range(70_000), "train": range(60_000), "val": range(60_000, 70_000)}


class Ffhq(Numbered):
    """Images `00000.png` ... `69999.png`, in one folder or in one per thousand.

    Config:
        split: `all`, `train` (the first 60,000) or `val` (the last 10,000).

    Nobody is known to be in two images.
    """

    splits = {name: len(numbers) for name, numbers in _SPLITS.items()}  # noqa: RUF012
    total = 70_000
    places = (".", "images1024x1024", "images256x256")
    pattern = re.compile(r"\d{5}")
    nested = True

    def _numbers(self) -> range:
        return _SPLITS[self.split]
