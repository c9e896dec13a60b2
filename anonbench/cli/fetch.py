"""`anonbench fetch` and `anonbench weights`: bring artefacts to this machine, keep them right."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anonbench.cli import console
from anonbench.cli.options import AsJson

if TYPE_CHECKING:
    from anonbench.weights import Artefact
    from anonbench.weights.cache import Check

app = typer.Typer(help="Look after fetched weights and data.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the commands of this group."""
    parent.command()(fetch)
    parent.add_typer(app, name="weights")


@app.callback()
def _group() -> None:
    """Look after fetched weights and data."""


def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Artefacts, e.g. `orl dlib-resnet`; see `anonbench weights list`.",
            metavar="[NAME]...",
            show_default=False,
        ),
    ] = None,
    method: Annotated[
        str, typer.Option(help="What these methods need, e.g. `--method identity,pixelate`.")
    ] = "",
    protocol: Annotated[
        str,
        typer.Option(
            help="What these protocols need: judges, detector, dataset, e.g. `--protocol lfw-tar`."
        ),
    ] = "",
    suite: Annotated[
        str,
        typer.Option(
            help="Which suite of the protocols, e.g. `--suite paper` (without: demo); with no "
            "--protocol, that suite of every protocol."
        ),
    ] = "",
    detector: Annotated[
        str, typer.Option(help="The judge that finds faces, e.g. `--detector mtcnn`.")
    ] = "dlib-hog",
    dataset: Annotated[
        str,
        typer.Option(help="A dataset in place of the suite's own, e.g. `--dataset lfw`."),
    ] = "",
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Folder with files that you downloaded by hand, e.g. `--from ~/Downloads`.",
            metavar="DIR",
        ),
    ] = None,
    offline: Annotated[
        bool,
        typer.Option("--offline", help="Never open a socket, e.g. `--offline --from ~/usb`."),
    ] = False,
    json: AsJson = False,
) -> None:
    """Bring weights and data to this machine; what is already here is left alone.

    Example: `anonbench fetch --suite demo`, or `anonbench fetch dlib-resnet orl`.
    """
    from anonbench import weights

    wanted = list(names or []) + _needed(method, protocol, suite, detector, dataset)
    if not wanted and not (method or protocol or suite):
        from anonbench.errors import BadConfig

        raise BadConfig(
            "Say what to fetch.", mend="For example: anonbench fetch --suite demo; see also --help"
        )
    wanted = list(dict.fromkeys(wanted))
    paths = weights.fetch(wanted, offline=offline, source_dir=source)
    if json:
        console.print_json({name: str(path) for name, path in zip(wanted, paths, strict=True)})
        return
    for name, path in zip(wanted, paths, strict=True):
        console.out.print(f"{name}  {path}", markup=False)
    if not wanted:
        console.out.print("Nothing to fetch: no artefacts are needed.")


@app.command("list")
def list_(json: AsJson = False) -> None:
    """All artefacts of the catalogue: size, use, and whether they are on this machine.

    Example: `anonbench weights list --json`.
    """
    from anonbench import weights

    rows = [_row(artefact) for artefact in weights.catalogue().values()]
    if json:
        console.print_json(rows)
    else:
        _print_rows(rows)


@app.command()
def verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Artefacts, e.g. `orl`; without: all that are on this machine.",
            metavar="[NAME]...",
            show_default=False,
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Hash the local copies again and name the damaged ones.

    Example: `anonbench weights verify orl`. Exit status 1 if something is damaged, or was named
    but is not here.
    """
    from anonbench import weights

    checks = weights.verify(names or weights.catalogue())
    shown = [check for check in checks if names or check.status != "absent"]
    if json:
        console.print_json([check._asdict() for check in shown])
    else:
        _print_checks(shown)
    if any(check.status != "ok" for check in shown):
        sys.exit(1)


@app.command("import")
def import_(
    name: Annotated[str, typer.Argument(help="The artefact, e.g. `g2face`.")],
    file: Annotated[
        Path, typer.Argument(help="The file, or a folder artefact's folder, e.g. `G2Face.pth`.")
    ],
) -> None:
    """Take an artefact from a file on this machine.

    Its SHA-256 decides; where the publisher gives none, the first import records it and later
    ones must match. A checkpoint that its authors alone may offer must have the keys and shapes
    of its network, and is converted to safetensors.
    Example: `anonbench weights import g2face ~/Downloads/G2Face.pth`.
    """
    from anonbench import weights

    console.out.print(f"{name}  {weights.import_file(name, file)}", markup=False)


def _needed(method: str, protocol: str, suite: str, detector: str, dataset: str) -> list[str]:
    """Artefacts of the plug-ins that the options name."""
    if not (method or protocol or suite):
        return []
    from anonbench.weights.needed import needed, protocols_of

    protocols = _split(protocol)
    if suite and not protocols:
        protocols = protocols_of(suite)
    return needed(_split(method), protocols, suite or "demo", detector, dataset)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _row(artefact: "Artefact") -> dict[str, Any]:
    from anonbench import weights

    present = weights.is_present(artefact.name)
    return {
        "name": artefact.name,
        "kind": artefact.kind,
        "what": artefact.what,
        "bytes": artefact.bytes or None,
        "download_bytes": artefact.download_bytes,
        "licence": artefact.licence,
        "research_only": artefact.research_only,
        "citation": artefact.citation,
        "sha256": artefact.sha256 or (weights.digest(artefact.name) if present else None),
        "mirrors": [mirror.text for part in artefact.parts for mirror in part.mirrors],
        "page": artefact.page or None,
        "path": str(weights.path(artefact.name)) if present else None,
    }


def _print_rows(rows: list[dict[str, Any]]) -> None:
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        here = "here" if row["path"] else "-"
        size = row["bytes"] or row["download_bytes"]
        size = f"{size / 1e6:.1f} MB" if size else "? MB"
        use = "research only" if row["research_only"] else ""
        line = f"{row['name']:{width}}  {here:4}  {size:>9}  {use:13}  {row['what']}"
        console.out.print(line, markup=False)
    console.out.print("Licences, hashes and mirrors: anonbench weights list --json")


def _print_checks(checks: "list[Check]") -> None:
    from anonbench import weights

    for check in checks:
        console.out.print(f"{check.name}: {check.status}", markup=False)
        if check.status == "damaged":
            console.out.print(f"  expected sha256 {check.expected}", markup=False)
            console.out.print(f"  found    sha256 {check.found}", markup=False)
        if check.status != "ok":
            how = weights.catalogue()[check.name].how_to_get
            console.out.print(f"  {how}", markup=False)
    if not checks:
        console.out.print("No artefact is on this machine.")
