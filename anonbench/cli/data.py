"""`anonbench data`: look after datasets on disk."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anonbench.cli import console
from anonbench.cli.options import AsJson

if TYPE_CHECKING:
    from anonbench.data.base import ImageDataset
    from anonbench.data.verify import Report

_SHOWN = 20
_Name = Annotated[
    str, typer.Argument(help="Dataset, e.g. `lfw`, `orl`, `folder:folds=2`.", metavar="NAME")
]
_DataRoot = Annotated[
    Path | None,
    typer.Option(help="The dataset's folder or the one that holds it, e.g. `--data-root ~/data`."),
]

app = typer.Typer(help="Look after datasets on disk.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the commands of this group."""
    parent.add_typer(app, name="data")


@app.callback()
def _group() -> None:
    """Look after datasets on disk."""


@app.command(name="list")
def list_images(name: _Name, data_root: _DataRoot = None, json: AsJson = False) -> None:
    """List the images of a dataset, with person and attributes where these are known.

    Example: `anonbench data list utkface --data-root ~/data`.
    """
    dataset = _open(name, data_root)
    images: list[dict[str, Any]] = [
        {
            "id": sample.id,
            "person": None if sample.identity == sample.id else sample.identity,
            "attributes": dict(dataset.attributes(sample.id)),
        }
        for sample in dataset.samples()
    ]
    if json:
        console.print_json({"dataset": name, "root": str(dataset.root), "images": images})
        return
    for image in images:
        known = [f"{key}={value}" for key, value in image["attributes"].items()]
        typer.echo("\t".join([image["id"], image["person"] or "", *known]).rstrip())


@app.command()
def verify(
    name: _Name,
    data_root: _DataRoot = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="Compare with this manifest (lines of sha256sum), e.g. `--manifest lfw.sha256`; "
            "without it, with the one recorded at the first check without a problem."
        ),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(help="Write the manifest to this file, e.g. `--record lfw.sha256`."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Read every file of a dataset and name what is missing, extra or damaged.

    Example: `anonbench data verify lfw --data-root ~/data`. Exit status 1 if there is a problem.
    """
    from anonbench.data.manifest import read_checksums
    from anonbench.data.verify import record_file

    dataset = _open(name, data_root)
    kept = record_file(dataset)
    against = manifest or (kept if kept.is_file() and not record else None)
    report = _check(dataset, read_checksums(against) if against else None)
    target = record or (kept if report.ok and not against else None)
    if target:
        _write(target, report.manifest.text)
    document = _document(dataset, report, against, target)
    if json:
        console.print_json(document)
    else:
        _print(dataset, report, document)
    if not report.ok:
        sys.exit(1)


def _open(name: str, data_root: Path | None) -> "ImageDataset":
    from anonbench.data import open_dataset
    from anonbench.data.base import ImageDataset
    from anonbench.errors import BadConfig

    dataset = open_dataset(name, data_root)
    if not isinstance(dataset, ImageDataset):
        raise BadConfig(
            f"The dataset '{name}' cannot be verified: it does not say which files it consists of.",
            mend="Its class must derive from anonbench.data.base.ImageDataset.",
        )
    return dataset


def _check(dataset: "ImageDataset", recorded: dict[str, str] | None) -> "Report":
    from anonbench.data.verify import checked, verify
    from anonbench.engine.progress import Progress

    total = len(checked(dataset))
    with Progress(console.err).stage(f"verify {dataset.card.name}", total, 0) as advance:
        return verify(dataset, recorded, advance)


def _write(path: Path, text: str) -> None:
    from anonbench.files import atomic_write

    def write(file: Path) -> None:
        file.write_text(text, encoding="utf-8")

    atomic_write(path, write)


def _document(
    dataset: "ImageDataset", report: "Report", against: Path | None, target: Path | None
) -> dict[str, Any]:
    return {
        "dataset": dataset.card.name,
        "root": str(dataset.root),
        "ok": report.ok,
        "images": report.images,
        "people": report.people,
        "official": dict(dataset.official),
        "manifest": report.manifest.hash,
        "compared_with": str(against) if against else None,
        "recorded_in": str(target) if target else None,
        "missing": report.missing,
        "extra": report.extra,
        "damaged": report.damaged,
        "ignored": report.ignored,
        "unknown": report.unknown,
    }


def _print(dataset: "ImageDataset", report: "Report", document: dict[str, Any]) -> None:
    console.out.print(f"{dataset.card.title} in {dataset.root}", markup=False)
    for what, found in (("images", report.images), ("people", report.people)):
        official = dataset.official.get(what)
        note = f" (official: {official:,})" if official else ""
        if found or official:
            console.out.print(f"  {found:,} {what}{note}", markup=False)
    console.out.print(f"  manifest {report.manifest.hash}", markup=False)
    for label, key in (("compared with", "compared_with"), ("recorded in", "recorded_in")):
        if document[key]:
            console.out.print(f"  {label} {document[key]}", markup=False)
    _print_files("missing", [f"{name} ({why})" for name, why in report.missing.items()])
    _print_files("extra", report.extra)
    _print_files("damaged", [f"{name}: {why}" for name, why in report.damaged.items()])
    _print_files(
        "attributes not known of all",
        [f"{name}: {count:,} images without" for name, count in report.unknown.items()],
    )
    _print_files("no part of the dataset, ignored", report.ignored)
    console.out.print("[green]ok[/]" if report.ok else "[red]not ok[/]")
    if not report.ok and document["compared_with"]:
        console.out.print(
            "  accept the files as they are: anonbench data verify ... "
            f"--record {document['compared_with']}",
            markup=False,
        )


def _print_files(label: str, lines: list[str]) -> None:
    if lines:
        console.out.print(f"  {label}: {len(lines)}", markup=False)
    for line in lines[:_SHOWN]:
        console.out.print(f"    {line}", markup=False)
    if len(lines) > _SHOWN:
        console.out.print(f"    ... and {len(lines) - _SHOWN} more: see --json", markup=False)
