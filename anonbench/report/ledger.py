"""The ledger as tables: one per table of a paper, one of what is missing, and as a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from anonbench.report import markup
from anonbench.report.model import Cell, Column, Notes, Row, Table
from anonbench.results import published as papers
from anonbench.results.ledger import Line, Ours, counts, missing
from anonbench.results.published import Doubt

COMMAND = "anonbench ledger --fresh --format markdown > docs/ledger.md"
"""What writes the page in the docs."""

_PAGE = f"""\
# The ledger of the papers' numbers

Every number in the tables of G²Face and DR-DPGAN, and where it stands on a machine that has
nothing yet. This page is written by `{COMMAND}`;
`anonbench ledger` tells the same of your machine and your results, `--json` with everything.

| status | meaning |
| --- | --- |
| measured | a result here differs in nothing that decides it; Δ is ours minus the paper's |
| runnable | everything is here or is fetched by the command, which nobody has run here yet |
| needs | something is missing that a person must bring, train or write |
| ill-defined | the paper contradicts itself, or leaves open what the number is of |

*Measured on other data* is told beside a status and is never a reproduction: the demo suite has
other faces and other judges. What is needed follows from the cards of method, judge and data; what
is ill-defined is said, with its source, in `results/published`. “PROTOCOLS” there is the
developers' specification of the protocols. A mark at a number with ± says what is open about that
±; the number itself can be compared.
"""


def summary(lines: Sequence[Line]) -> str:
    """How many numbers there are of each status, in a sentence."""
    found = ", ".join(f"{number} {status}" for status, number in counts(lines).items())
    spreads = [line for line in lines if line.printed.std is not None]
    vague = sum(bool(line.spread_doubts) for line in spreads)
    return (
        f"{len(lines)} numbers: {found}. Of {len(spreads)} with a ±, {vague} leave it ill-defined."
    )


def tables(lines: Iterable[Line]) -> list[Table]:
    """A table for each table of a paper of which there are numbers."""
    return [_table(name, list(of)) for name, of in groupby(lines, key=lambda x: x.printed.table)]


def missing_table(lines: Iterable[Line]) -> Table:
    """What is missing, for how many numbers, and what to do."""
    notes = Notes()
    rows = tuple(
        Row(
            label=f"{need.kind} {need.name}",
            reference=False,
            cells=(
                Cell(str(waiting)),
                Cell(
                    "a person brings it" if need.by_hand else "nobody wrote it yet",
                    0,
                    _marks(notes, need.how),
                ),
            ),
        )
        for need, waiting in missing(lines).items()
    )
    return Table(
        name="missing",
        caption="What is missing, and how many numbers wait for it (most for more than one thing).",
        columns=_columns("numbers", "how"),
        rows=rows,
        notes=tuple(notes.all()),
        stub="Missing",
    )


def page(lines: Sequence[Line]) -> str:
    """All of it in Markdown."""
    parts = [_PAGE, f"**{summary(lines)}**\n", "## What is missing\n"]
    parts.append(markup.markdown(missing_table(lines)))
    for table in tables(lines):
        parts += [f"## {table.name}\n", markup.markdown(table)]
    return "\n".join(parts)


def _table(name: str, lines: Sequence[Line]) -> Table:
    paper = papers.table(name)
    notes = Notes()
    return Table(
        name=name,
        caption=f"{paper.paper}, Table {paper.number}: {paper.title}.",
        columns=_columns("paper", "status", "ours", "Δ", "what"),
        rows=tuple(_row(line, notes) for line in lines),
        notes=tuple(notes.all()),
        stub="Number",
    )


def _columns(*titles: str) -> tuple[Column, ...]:
    return tuple(Column(title, "", "none") for title in titles)


def _row(line: Line, notes: Notes) -> Row:
    value = line.printed
    unit = f" ({value.unit})" if value.unit else ""
    known = papers.table(value.table)
    data = value.dataset if value.dataset != known.dataset else ""
    spread = "" if value.std is None else f" ± {value.std:.{value.decimals}f}"
    return Row(
        label=f"{value.column}{unit}",
        reference=False,
        cells=(
            Cell(
                f"{value.value:.{value.decimals}f}{spread}", 0, _reasons(line.spread_doubts, notes)
            ),
            Cell(line.status, 0, _reasons(line.doubts, notes)),
            Cell(_number(line.ours.value, value.decimals) if line.ours else ""),
            Cell(_delta(line)),
            Cell("; ".join(_what(line)), 0, _marks(notes, *_commands(line))),
        ),
        group=", ".join(filter(None, (value.method_title, value.variant, data))),
    )


def _number(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}"


def _delta(line: Line) -> str:
    """Signed, and never a negative zero; nothing where a number cannot be compared."""
    if line.status != "measured" or line.ours is None or line.ours.delta is None:
        return ""
    decimals = line.printed.decimals
    return f"{round(line.ours.delta, decimals) + 0.0:+.{decimals}f}"


def _what(line: Line) -> Iterator[str]:
    if line.ours:
        ours = line.ours
        channel = f", channel {ours.channel}" if ours.channel else ""
        yield f"result {ours.result[:8]}{channel}, seed {ours.seed}"
    elif line.status == "needs":
        yield ", ".join(need.name for need in line.needs)
    yield from _elsewhere(line.others)


def _elsewhere(others: Sequence[Ours]) -> Iterator[str]:
    """What was measured that is no reproduction."""
    data = dict.fromkeys(ours.dataset for ours in others if ours.other_data)
    if data:
        yield f"measured on other data ({', '.join(data)})"
    same = [ours for ours in others if not ours.other_data]
    if same:
        nearest = min(same, key=lambda ours: len(ours.differs))
        yield f"measured otherwise ({', '.join(nearest.differs)})"


def _commands(line: Line) -> Iterator[str]:
    """The command that nobody has run, or what the measured number is of."""
    if line.status == "runnable":
        yield line.command
    elif line.status == "measured" and line.printed.note:
        yield line.printed.note


def _reasons(doubts: Iterable[Doubt], notes: Notes) -> tuple[str, ...]:
    return _marks(notes, *(f"{doubt.why} ({doubt.source})" for doubt in doubts))


def _marks(notes: Notes, *texts: str) -> tuple[str, ...]:
    return tuple(map(notes.mark, texts))
