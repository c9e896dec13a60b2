"""Which people are measured, and which of their images, where a protocol needs several of each."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anonbench.errors import BadData
from anonbench.interfaces import Dataset
from anonbench.values import sample_key

Gallery = dict[str, tuple[str, ...]]
"""Image ids of each person."""


@dataclass(frozen=True)
class Draw:
    """How people and their images are drawn.

    Attributes:
        people: How many people; 0 takes all who have images enough.
        images: How many images of each, at most.
        least: How many images a person must have.
        seed: Of the draw.
    """

    people: int
    images: int
    least: int
    seed: int


def drawn_people(protocol: str, dataset: Dataset, draw: Draw, limit: int | None) -> Gallery:
    """People and their images, both in the order in which they are drawn.

    The order is that of a hash over seed and name, so that fewer people, or fewer images, are a
    part of more of them, and that one person's images depend on nobody else's.

    Args:
        protocol: Its name, for messages.
        dataset: Says whose the images are.
        draw: How many, and which.
        limit: Number of images: so many people that there are no more of them, None for all.

    Raises:
        BadData: The dataset has too few people with images enough, or the limit has room for
            fewer than two.
    """
    gallery = _gallery(dataset)
    fitting = [who for who, images in gallery.items() if len(images) >= draw.least]
    wanted = max(draw.people, 2)
    if len(fitting) < wanted:
        raise _too_few(protocol, dataset, gallery, draw, len(fitting))
    count = draw.people or len(fitting)
    if limit is not None:
        count = min(count, _room(limit, draw))
    ranked = sorted(fitting, key=lambda who: sample_key(draw.seed, who))[:count]
    return {who: _first(gallery[who], draw) for who in ranked}


def _gallery(dataset: Dataset) -> dict[str, list[str]]:
    gallery = defaultdict[str, list[str]](list)
    for sample in dataset.samples():
        gallery[sample.identity].append(sample.id)
    return gallery


def _first(images: Sequence[str], draw: Draw) -> tuple[str, ...]:
    ranked = sorted(images, key=lambda image: sample_key(draw.seed, image))
    return tuple(ranked[: draw.images])


def _room(limit: int, draw: Draw) -> int:
    """How many people with all their images a limit leaves room for."""
    if limit >= 2 * draw.images:
        return limit // draw.images
    raise BadData(
        f"--limit {limit} leaves no room for two people with {draw.images} images each.",
        mend=f"Use --limit {2 * draw.images} or more, or lower the setting `images`.",
    )


def _too_few(
    protocol: str, dataset: Dataset, gallery: Mapping[str, Sequence[str]], draw: Draw, found: int
) -> BadData:
    sizes = sorted(map(len, gallery.values()), reverse=True)
    what = (
        f"{protocol} needs {draw.people or 'all, at least 2,'} people with {draw.least} images "
        f"or more; {dataset.card.name} has {found} of them."
    )
    why = (
        f"It has {sum(sizes)} images of {len(sizes)} people, at most {max(sizes, default=0)} each."
    )
    return BadData(what, why=why, mend=_mend(protocol, sizes, draw, found))


def _mend(protocol: str, sizes: Sequence[int], draw: Draw, found: int) -> str:
    """The setting to lower.

    Args:
        protocol: Its name.
        sizes: Number of images per person, the most first.
        draw: What was asked for.
        found: People with images enough.
    """
    ways = [f"people={found}"] if found > 1 else []
    wanted = max(draw.people, 2)
    if len(sizes) >= wanted and 2 <= sizes[wanted - 1] < draw.least:
        ways.append(f"images={sizes[wanted - 1]}")
    if ways:
        return "Write " + " or ".join(f"{protocol}:{way}" for way in ways)
    return "Use a dataset with several images of each person, e.g. --dataset orl"
