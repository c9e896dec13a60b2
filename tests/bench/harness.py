"""What all benches share: how time is taken, and a line of the table."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

SECONDS = 3.0


@dataclass(frozen=True)
class Options:
    """What a bench is asked for.

    Attributes:
        threads: Of PyTorch.
        quick: Smaller inputs and one repetition: shows that it runs, not how fast.
    """

    threads: int
    quick: bool = False

    @property
    def turns(self) -> int:
        """How often a thing is timed at least; what is short, for `SECONDS`."""
        return 1 if self.quick else 2


@dataclass(frozen=True)
class Row:
    """A measured rate beside that of a reference in the same run.

    Attributes:
        name: What was measured.
        rate: How many units a second.
        unit: What is counted.
        reference: What it is compared with.
        reference_rate: The reference's units a second.
        batch: Images at a time, 0 where there is no such thing.
        precision: Of the networks' arithmetic, empty where there is none.
        note: What else is worth knowing.
    """

    name: str
    rate: float
    unit: str
    reference: str
    reference_rate: float
    batch: int = 0
    precision: str = ""
    note: str = ""

    @property
    def ratio(self) -> float:
        return self.rate / self.reference_rate


def best(run: Callable[[], object], turns: int) -> float:
    """Seconds of the fastest of several runs, after one to warm up."""
    run()
    return min(once(run) for _ in range(turns))


def once(run: Callable[[], object]) -> float:
    """Seconds of one run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def rival(
    run: Callable[[], object], reference: Callable[[], object], turns: int
) -> tuple[float, float]:
    """Best seconds of either of two, which run in turn: what else a machine does hits both."""
    run(), reference()
    pairs: list[tuple[float, float]] = []
    while len(pairs) < turns or (turns > 1 and sum(map(sum, pairs)) < SECONDS):
        pairs.append((once(run), once(reference)))
    return min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)


def header(options: Options) -> str:
    quick = ", quick: no figures to quote" if options.quick else ""
    return f"torch {torch.__version__}, {options.threads} threads{quick}"


def markdown(rows: Iterable[Row]) -> str:
    """The rows as one table in Markdown."""
    lines = ["| what | batch | precision | rate | reference | its rate | ratio | note |"]
    lines += ["|:--|--:|:--|--:|:--|--:|--:|:--|"]
    for row in rows:
        cells = (
            row.name,
            str(row.batch or ""),
            row.precision,
            f"{_short(row.rate)} {row.unit}",
            row.reference,
            _short(row.reference_rate),
            f"{row.ratio:.2f}",
            row.note,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _short(number: float) -> str:
    """Three digits that count, without an exponent."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
