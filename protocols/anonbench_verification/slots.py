"""Pair slots: which image of a pair is judged as it is and which as published.

Anonymization belongs to a slot, not to a file: the second image of a genuine pair is published,
and the same file stays original where it is the first of another pair or in an impostor pair.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anonbench.cards import ProtocolCard
from anonbench.errors import BadData, UnreachableFar
from anonbench.interfaces import Dataset, Evidence
from anonbench.metrics.verification import ScoredPairs, resolves, smallest_far, squared_distances
from anonbench.values import Embeddings, Needs, Pair, Scores


def first_pairs(pairs: Sequence[Pair], limit: int | None) -> list[Pair]:
    """The first `limit` genuine and the first `limit` impostor pairs, in turn from every fold.

    The official order is kept. None takes all pairs.
    """
    if limit is None:
        return list(pairs)
    seen: Counter[tuple[int, bool]] = Counter()
    turns: dict[bool, list[tuple[int, int, int]]] = {True: [], False: []}
    for index, pair in enumerate(pairs):
        turns[pair.same].append((seen[pair.fold, pair.same], pair.fold, index))
        seen[pair.fold, pair.same] += 1
    kept = sorted(turn[2] for kind in turns.values() for turn in sorted(kind)[:limit])
    return [pairs[index] for index in kept]


def genuine_pairs(pairs: Iterable[Pair]) -> list[Pair]:
    """The pairs of one person."""
    return [pair for pair in pairs if pair.same]


def needs_of(pairs: Iterable[Pair]) -> Needs:
    """Second images of genuine pairs published and recovered, every other slot original.

    Ids are sorted.
    """
    original, published = set[str](), set[str]()
    for pair in pairs:
        original.add(pair.a)
        (published if pair.same else original).add(pair.b)
    probes = tuple(sorted(published))
    return Needs(original=tuple(sorted(original)), published=probes, recovered=probes)


def identities(dataset: Dataset, pairs: Iterable[Pair]) -> dict[str, int]:
    """The images of the pairs, sorted, with an integer code of their person.

    Codes count from 0. An image that is not on disk gets a code of its own: none of its pairs
    can be scored.
    """
    person = {sample.id: sample.identity for sample in dataset.samples()}
    images = sorted({id_ for pair in pairs for id_ in (pair.a, pair.b)})
    names = [person.get(id_, id_) for id_ in images]
    codes = {name: code for code, name in enumerate(sorted(set(names)))}
    return {id_: codes[name] for id_, name in zip(images, names, strict=True)}


def check_far(
    card: ProtocolCard,
    far: float,
    limit: int | None,
    pairs: Sequence[Pair],
    setting: Callable[[list[Pair]], int],
) -> None:
    """Refuse a FAR that the chosen impostor pairs cannot resolve, before anything is computed.

    Args:
        card: The protocol's card, for the message.
        far: The target.
        limit: What the user asked for, None for all pairs.
        pairs: All pairs of the dataset.
        setting: Number of impostor pairs that set a threshold, for some of the pairs.

    Raises:
        UnreachableFar: With the smallest sufficient `--limit` and FAR.
    """

    def usable(number: int) -> int:
        return setting(first_pairs(pairs, number))

    largest = max(Counter(pair.same for pair in pairs).values(), default=0)
    impostors = usable(largest if limit is None else min(limit, largest))
    if resolves(far, impostors):
        return
    ways = []
    enough = 1 + bisect_left(range(1, largest + 1), True, key=lambda n: resolves(far, usable(n)))
    if enough <= largest:
        ways.append(f"--limit {enough} or more")
    if coarser := smallest_far(impostors):
        ways.append(f"a higher FAR: --protocol {card.name}:far={coarser:g}")
    with_limit = "" if limit is None else f" under --limit {limit}"
    raise UnreachableFar(
        f"{card.name} cannot measure a FAR of {far:g} with the {impostors} impostor pairs "
        f"that set a threshold{with_limit}.",
        why="A single false accept among them already exceeds it.",
        mend=f"Use {' or '.join(ways) or 'a dataset with more pairs'}.",
    )


@dataclass(frozen=True)
class Judged:
    """One side of N pairs: `vectors` `[N, D]` with NaN rows where `failed` `[N]` has a reason."""

    vectors: NDArray[np.float32]
    found: NDArray[np.bool_]
    failed: NDArray[np.str_]


def lookup(embeddings: Embeddings, ids: Sequence[str]) -> Judged:
    """The embeddings of N ids; an id may occur often."""
    row = {id_: index for index, id_ in enumerate(embeddings.ids)}
    rows = np.array([row.get(id_, -1) for id_ in ids], dtype=np.int64)
    width = embeddings.vectors.shape[1] if row else 1  # NaN of any width broadcasts
    table = np.full((len(row) + 1, width), np.nan, dtype=np.float32)
    table[: len(row)] = embeddings.vectors.reshape(len(row), width)
    vectors = table[rows]
    reason = _reasons(embeddings.failed, ids, rows, vectors)
    return Judged(vectors, np.append(embeddings.found, False).astype(np.bool_)[rows], reason)


def _reasons(
    failed: Mapping[str, str],
    ids: Sequence[str],
    rows: NDArray[np.int64],
    vectors: NDArray[np.float32],
) -> NDArray[np.str_]:
    usable: NDArray[np.bool_] = np.isfinite(vectors).all(axis=1) & (vectors != 0).any(axis=1)
    return np.array(
        [
            failed.get(id_, "no embedding") if index < 0 else "" if good else "unusable embedding"
            for id_, index, good in zip(ids, rows, usable, strict=True)
        ],
        dtype=np.str_,
    )


def pair_scores(
    pairs: Sequence[Pair], code: Mapping[str, int], evidence: Evidence, judge: str
) -> Scores:
    """Scores of N pairs, the second image of a genuine one as published.

    Args:
        pairs: The pairs.
        code: Code of its person per sample id, from `identities`.
        evidence: Embeddings of the original, the published and perhaps the recovered images.
        judge: Name of the recogniser.

    Returns:
        Arrays of length N: `distance` (float64, NaN where an image failed), `failed` (why, or
        empty), `same`, `fold`, `a`, `b` (sample ids), `identity_a`, `identity_b` (codes),
        `found` (a face was found in both images), `found_probe` (in the second). For a reversible
        method also `distance`, `failed` and `found_probe` with `_recovered` behind the name, for
        genuine pairs with the second image as recovered; for the others they say the same.
    """
    same = np.array([pair.same for pair in pairs], dtype=bool)
    ids_b = [pair.b for pair in pairs]
    original = evidence.embeddings("original", judge)
    first = lookup(original, [pair.a for pair in pairs])
    probe = lookup(evidence.embeddings("published", judge), ids_b)
    clean = lookup(original, ids_b)
    second = _where(same, probe, clean)
    restored: Scores = {}
    if not evidence.lacks("recovered"):
        recovered = lookup(evidence.embeddings("recovered", judge), ids_b)
        restored = _recovered_scores(first, _where(same, recovered, clean))
    return {
        "distance": squared_distances(first.vectors, second.vectors),
        "failed": np.where(first.failed != "", first.failed, second.failed),
        "same": same,
        "fold": np.array([pair.fold for pair in pairs], dtype=np.int64),
        "a": np.array([pair.a for pair in pairs], dtype=np.str_),
        "b": np.array(ids_b, dtype=np.str_),
        "identity_a": np.array([code[pair.a] for pair in pairs], dtype=np.int64),
        "identity_b": np.array([code[pair.b] for pair in pairs], dtype=np.int64),
        "found": first.found & second.found,
        "found_probe": second.found,
        **restored,
    }


def _where(chosen: NDArray[np.bool_], these: Judged, others: Judged) -> Judged:
    return Judged(
        np.where(chosen[:, None], these.vectors, others.vectors),
        np.where(chosen, these.found, others.found),
        np.where(chosen, these.failed, others.failed),
    )


def _recovered_scores(first: Judged, second: Judged) -> Scores:
    return {
        "distance_recovered": squared_distances(first.vectors, second.vectors),
        "failed_recovered": np.where(first.failed != "", first.failed, second.failed),
        "found_probe_recovered": second.found,
    }


def of_recovered(scores: Scores) -> Scores | None:
    """The scores with genuine probes as recovered; None for a method that is not reversible."""
    if "distance_recovered" not in scores:
        return None
    names = ("distance", "failed", "found_probe")
    return scores | {name: scores[f"{name}_recovered"] for name in names}


def scored_pairs(scores: Scores, undetected: str) -> ScoredPairs:
    """The pairs without a failed image.

    With `undetected="reject"` the distance of a genuine pair whose probe shows no face
    is infinite. Originals without a detection keep their fallback crop.

    Raises:
        BadData: No genuine pair is left.
    """
    distance = scores["distance"].astype(np.float64)
    pairs = ScoredPairs(
        np.where(rejected(scores), np.inf, distance) if undetected == "reject" else distance,
        scores["same"].astype(np.bool_),
        scores["fold"].astype(np.int64),
        scores["identity_a"].astype(np.int64),
        scores["identity_b"].astype(np.int64),
    )
    kept = pairs[~np.isnan(distance)]
    if not kept.same.any():
        reasons = Counter(map(str, scores["failed"][pairs.same]))
        raise BadData(
            "No genuine pair could be scored, so there is no true accept rate.",
            why="; ".join(f"{reason}: {n} pairs" for reason, n in reasons.most_common(3)),
        )
    return kept


def rejected(scores: Scores) -> NDArray[np.bool_]:
    """`[N]` genuine pairs, judged, whose probe shows no face."""
    judged = ~np.isnan(scores["distance"].astype(np.float64))
    return judged & scores["same"].astype(np.bool_) & ~scores["found_probe"].astype(np.bool_)
