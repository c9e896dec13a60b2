"""Results whose differences are known, with scores from which they are reduced again."""

from pathlib import Path
from typing import Any

import numpy as np
from result_factory import make_method, make_result

from anonbench import registry
from anonbench.results import store
from anonbench.results.matching import Stored
from anonbench.results.record import PluginRef, Result
from anonbench.values import Scores

BASELINES = Path(__file__).parents[1] / "results" / "baselines"
PEOPLE, IMAGES, REPLICATES = 40, 2, 200
CONFIG = {"images": "probes", "seeds": 1, "bootstrap": REPLICATES, "bootstrap_seed": 0}


def cosines(shift: float = 0.0, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """`[N]`: always the same people, with their own mean, moved by a shift and some noise."""
    base = np.random.default_rng(7)
    people = base.normal(0.5, 0.15, PEOPLE).repeat(IMAGES)
    values = people + base.normal(0, 0.02, PEOPLE * IMAGES)
    return values + shift + np.random.default_rng(seed).normal(0, noise, len(values))


def scores_of(values: np.ndarray) -> Scores:
    """Scores of `celebahq-similarity` for a method that is not reversible; NaN has failed."""
    identity = np.repeat(np.arange(PEOPLE), IMAGES)
    count = len(values)
    return {
        "image": np.array([f"{i}.png" for i in range(count)]),
        "identity": identity,
        "failed": np.where(np.isnan(values), "no face", ""),
        "published": values[:, None],
        "found_published": np.ones((count, 1), dtype=bool),
        "found_reference": np.ones(count, dtype=bool),
        "seed": np.array([0]),
        "not_recovered": np.array("not reversible"),
    }


def keep(
    folder: Path,
    values: np.ndarray,
    *,
    judges: tuple[str, ...] = ("dlib-resnet",),
    with_scores: bool = True,
    method: Any = "blur",
    **changes: Any,
) -> Stored:
    """A stored result of `celebahq-similarity` on those cosines, by every judge alike."""
    card = registry.protocols.card("celebahq-similarity").configured(CONFIG)
    scores = scores_of(values)
    reduction = registry.protocols.load(card.name)(card).reduce(scores)
    metrics = [m.model_copy(update={"judge": j}) for j in judges for m in reduction.metrics]
    result = make_result(
        make_method(method) if isinstance(method, str) else method,
        tuple(metrics),
        **{
            "protocol": PluginRef(name=card.name, version=card.version, config=CONFIG),
            "counts": dict.fromkeys(judges, reduction.counts),
            **changes,
        },
    )
    path = store.save(result, dict.fromkeys(judges, scores) if with_scores else {}, folder)
    return Stored(store.load(path), path)


def relabel(folder: Path, path: Path, **changes: Any) -> Path:
    """A copy of a stored result that says something else about itself."""
    result = store.load(path)
    copy: Result = result.model_copy(update={"id": "f" * 64, "scores": "", **changes})
    return store.save(copy, store.load_scores(path), folder)
