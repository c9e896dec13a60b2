"""`anonbench cache`: look after what was computed and stored."""

import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anonbench.cli import console
from anonbench.cli.options import AsJson

if TYPE_CHECKING:
    from pathlib import Path

    from anonbench.engine.caching import Cleared, Entry, Finding

_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 604800}
_BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_HELP = "Look after stored faces, embeddings and other stage outputs. Results are never touched."

app = typer.Typer(help=_HELP, no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the commands of this group."""
    parent.add_typer(app, name="cache")


@app.callback(help=_HELP)
def _group() -> None:
    """Look after the store."""


@app.command("list")
def list_(
    each: Annotated[
        bool, typer.Option("--each", help="One line for each artefact. Example: --each")
    ] = False,
    json: AsJson = False,
) -> None:
    """What is stored: of which dataset and stage, by whom, how much, and when it was last used.

    Example: `anonbench cache list --each`.
    """
    entries = _entries()
    if json:
        console.print_json(
            {
                "root": str(_root()),
                "artefacts": [_document(entry) for entry in entries],
                "bytes": sum(entry.size for entry in entries),
            }
        )
        return
    ordered = sorted(entries, key=lambda entry: (_datasets(entry), entry.stage, entry.used))
    if each:
        _print_each(ordered)
    else:
        _print_groups(ordered)
    size = _size(sum(entry.size for entry in entries))
    console.out.print(f"{_count(len(entries), 'artefact')}, {size}, in {_root()}", markup=False)


@app.command()
def verify(
    keep: Annotated[
        bool, typer.Option("--keep", help="Only tell; do not drop what is damaged. Example: --keep")
    ] = False,
    json: AsJson = False,
) -> None:
    """Read all of the store, check every checksum, and drop what is damaged.

    What is dropped is computed again by the next run that needs it. Exit status 1 if anything is
    damaged. Example: `anonbench cache verify`.
    """
    from anonbench.engine import caching
    from anonbench.engine.progress import Progress

    entries = _entries()
    total = sum(entry.size for entry in entries)
    with Progress(console.err).stage("verify", total, 0) as advance:
        found = list(caching.verify(entries, not keep, advance))
    if json:
        console.print_json(
            {
                "artefacts": len(entries),
                "bytes": total,
                "damaged": [finding._asdict() for finding in found],
            }
        )
    else:
        _print_findings(found, entries, total)
    if found:
        sys.exit(1)


@app.command()
def prune(
    older_than: Annotated[
        str,
        typer.Option(
            help="Delete what was not used for so long: minutes, hours, days or weeks, e.g. "
            "`--older-than 30d`.",
            metavar="TIME",
        ),
    ] = "",
    keep_under: Annotated[
        str,
        typer.Option(
            help="Delete what was not used for longest until the rest is smaller, e.g. "
            "`--keep-under 10GB`.",
            metavar="SIZE",
        ),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would go. Example: --dry-run")
    ] = False,
    json: AsJson = False,
) -> None:
    """Free space: files that killed runs left, what this version cannot read, and what is old.

    Left-over files go an hour after they were last written. What another process computes stays.
    Example: `anonbench cache prune --older-than 30d --dry-run`.
    """
    from anonbench.engine import caching

    seconds = _number(older_than, _SECONDS, "--older-than", "30d") if older_than else None
    size = _number(keep_under, _BYTES, "--keep-under", "10GB") if keep_under else None
    cleared = caching.prune(_root(), seconds, int(size) if size is not None else None, dry_run)
    _tell(cleared, dry_run, json)


@app.command()
def purge(
    dataset: Annotated[
        str,
        typer.Option(
            help="All that was computed from this dataset, however indirectly, and what is "
            "remembered of its files, e.g. `--dataset lfw`.",
        ),
    ] = "",
    method: Annotated[
        str, typer.Option(help="All that comes from this method's images, e.g. `--method g2face`.")
    ] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="The whole store. Example: --all")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. Example: --yes")] = False,
    json: AsJson = False,
) -> None:
    """Delete stored faces and embeddings for good. Results, in `runs/` or elsewhere, stay.

    Asks before it deletes. What another process computes right now stays, and is named: exit
    status 1. Example: `anonbench cache purge --dataset lfw`.
    """
    from anonbench.engine import caching
    from anonbench.errors import BadConfig

    if sum(map(bool, (dataset, method, everything))) != 1:
        raise BadConfig(
            "Say what to purge: one of --dataset, --method and --all.",
            mend="For example: anonbench cache purge --dataset lfw",
        )
    entries = _entries()
    chosen = caching.derived(entries, dataset, method, everything)
    files = [] if method else caching.manifests(dataset)
    what = dataset or method or "everything"
    if not chosen and not files:
        _nothing(what, entries)
    elif not yes:
        _ask(chosen, files)
    cleared = caching.purge(chosen, f"from {what}", files)
    _tell(cleared, dry_run=False, json=json)
    if cleared.busy:
        sys.exit(1)


def _root() -> "Path":
    from anonbench.paths import home

    return home() / "store"


def _entries() -> "list[Entry]":
    from anonbench.engine.caching import inventory

    return inventory(_root())


def _nothing(what: str, entries: "Sequence[Entry]") -> None:
    """Say that there is nothing to purge, and of what there would be something."""
    names = sorted({n for e in entries for some in e.origin for n in some})
    known = f" There is something from: {', '.join(names)}." if names else ""
    console.err.print(f"Nothing is stored from {what}.{known}", markup=False)


def _ask(chosen: "Sequence[Entry]", files: "Sequence[Path]") -> None:
    from anonbench.errors import BadConfig

    what = f"{_count(len(chosen), 'artefact')} ({_size(sum(entry.size for entry in chosen))})"
    question = f"Delete {what} and {_count(len(files), 'list')} of files?"
    if not sys.stdin.isatty():
        raise BadConfig(question, why="There is nobody to ask.", mend="To delete them, add --yes")
    typer.confirm(question, abort=True, err=True)


def _tell(cleared: "Cleared", dry_run: bool, json: bool) -> None:
    if json:
        console.print_json(
            {
                "dry_run": dry_run,
                "artefacts": [_document(entry) | {"why": why} for entry, why in cleared.artefacts],
                "files": [str(path) for path in cleared.files],
                "in_use": [_document(entry) for entry in cleared.busy],
                "bytes": cleared.size,
            }
        )
        return
    for why, some in groupby(sorted(why for _, why in cleared.artefacts)):
        console.out.print(f"{_count(len(list(some)), 'artefact')} {why}", markup=False)
    if cleared.files:
        console.out.print(_count(len(cleared.files), "other file"), markup=False)
    for entry in cleared.busy:
        line = f"stays, as another process computes it: {entry.stage} {entry.key}"
        console.err.print(line, markup=False)
    done = "would be freed" if dry_run else "freed"
    console.out.print(f"{_size(cleared.size)} {done}", markup=False)


def _document(entry: "Entry") -> dict[str, Any]:
    return {
        "key": entry.key,
        "stage": entry.stage,
        "datasets": sorted(entry.origin.datasets),
        "methods": sorted(entry.origin.methods),
        "by": entry.by or None,
        "format": entry.material.get("format"),
        "rows": entry.rows,
        "bytes": entry.size,
        "last_used": datetime.fromtimestamp(entry.used, UTC).isoformat(timespec="seconds"),
        "folder": str(entry.folder),
    }


def _datasets(entry: "Entry") -> str:
    return ", ".join(sorted(entry.origin.datasets)) or ("-" if entry.readable else "?")


def _print_groups(entries: "Sequence[Entry]") -> None:
    rows = [("dataset", "stage", "artefacts", "rows", "size", "last used")]
    for (dataset, stage), some in groupby(entries, lambda entry: (_datasets(entry), entry.stage)):
        group = list(some)
        rows.append((dataset, stage, f"{len(group):,}", *_sums(group)))
    _print_table(rows, left=2)


def _print_each(entries: "Sequence[Entry]") -> None:
    rows = [("dataset", "stage", "method", "by", "key", "rows", "size", "last used")]
    for entry in entries:
        methods = ", ".join(sorted(entry.origin.methods)) or "-"
        by = (_datasets(entry), entry.stage, methods, entry.by or "-", entry.key[:12])
        rows.append((*by, *_sums([entry])))
    _print_table(rows, left=5)


def _sums(entries: "Sequence[Entry]") -> tuple[str, str, str]:
    """Rows, bytes and last use of some artefacts; rows of other formats are not known."""
    known = [entry.rows for entry in entries if entry.rows is not None]
    used = datetime.fromtimestamp(max(entry.used for entry in entries), UTC)
    rows = f"{sum(known):,}" if known else "?"
    return rows, _size(sum(entry.size for entry in entries)), f"{used:%Y-%m-%d %H:%M}"


def _print_table(rows: Sequence[tuple[str, ...]], left: int) -> None:
    """Columns with words are aligned to the left, the others to the right."""
    if len(rows) == 1:
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            f"{cell:<{width}}" if place < left else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        console.out.print("  ".join(cells).rstrip(), markup=False)


def _print_findings(found: "Sequence[Finding]", entries: "Sequence[Entry]", total: int) -> None:
    for finding in found:
        done = ", dropped" if finding.dropped else ""
        console.out.print(f"{finding.path}: {finding.reason}{done}", markup=False)
    foreign = [entry for entry in entries if entry.material and not entry.readable]
    if foreign:
        console.out.print(
            f"not looked at: {_count(len(foreign), 'artefact')} of another format, which "
            "anonbench cache prune deletes",
            markup=False,
        )
    looked = _count(len(entries) - len(foreign), "artefact")
    size = _size(total - sum(entry.size for entry in foreign))
    verdict = f"{len(found)} damaged" if found else "all sound"
    console.out.print(f"{looked}, {size}: {verdict}", markup=False)


def _count(number: int, of: str) -> str:
    return f"{number:,} {of}" + ("" if number == 1 else "s")


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _number(text: str, units: dict[str, int], option: str, example: str) -> float:
    """A number with a unit, such as `30d` or `10GB`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]?)b?", text.strip().lower())
    if found is None or found[2] not in units:
        from anonbench.errors import BadConfig

        raise BadConfig(
            f"{option} {text}: this is no number with a unit.",
            mend=f"For example: {option} {example}",
        )
    return float(found[1]) * units[found[2]]
