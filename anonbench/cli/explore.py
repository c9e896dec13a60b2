"""`anonbench list`, `info` and `doctor`: what there is and what can run here."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Annotated, Any

import typer

from anonbench.cli import console
from anonbench.cli.listing import KINDS, show, summaries
from anonbench.cli.options import AsJson
from anonbench.errors import UnknownName, UserError


def register(app: typer.Typer) -> None:
    """Add the commands `list`, `info` and `doctor`."""
    app.command("list")(list_kind)
    app.command("info")(info)
    app.command("doctor")(doctor)


def list_kind(
    kind: Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}. Example: methods")],
    as_json: AsJson = False,
) -> None:
    """List what is registered.

    Example: anonbench list methods
    """
    if as_json:
        console.print_json(list(_describe(kind)))
    else:
        show(kind)


def _describe(kind: str) -> Iterator[dict[str, Any]]:
    return (_card(kind, name) for name, _ in summaries(kind))


def _card(kind: str, name: str) -> dict[str, Any]:
    if kind == "weights":
        from anonbench.weights import catalogue

        artefact = catalogue()[name]
        mirrors = [mirror.text for part in artefact.parts for mirror in part.mirrors]
        return {**artefact._asdict(), "parts": len(artefact.parts), "mirrors": mirrors}
    from anonbench import registry

    known: registry.Registry[Any] = getattr(registry, kind)
    card: dict[str, Any] = known.card(name).model_dump(mode="json")
    return card


def info(
    name: Annotated[str, typer.Argument(help="Any registered name. Example: pixelate")],
    as_json: AsJson = False,
) -> None:
    """Show all that is known about a method, protocol, judge, dataset or weight.

    Example: anonbench info lfw-tar
    """
    kinds = [kind for kind in KINDS if kind != "trainings"]  # they have the cards of methods
    names = {kind: [known for known, _ in summaries(kind)] for kind in kinds}
    found = {kind: _card(kind, name) for kind in kinds if name in names[kind]}
    if not found:
        mend = f"See: anonbench list {'|'.join(kinds)}"
        raise UnknownName("plug-in", name, chain(*names.values()), mend)
    if as_json:
        console.print_json(found)
        return
    for kind, row in found.items():
        console.out.print(f"[bold]{kind.removesuffix('s')} {name}[/]")
        for key, value in row.items():
            if value not in ("", [], {}, None) and key != "name":
                console.out.print(f"  {key:<16} {_flat(value)}", markup=False)


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k}={_flat(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(_flat(v) for v in value)
    return str(value)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: its state, and the command that mends it."""

    what: str
    ok: bool
    state: str
    mend: str = ""


def doctor(as_json: AsJson = False) -> None:
    """Tell what can run here, what is missing, and the command that gets it.

    Example: anonbench doctor
    """
    findings = [*_check_home(), *_check_extras(), *_check_plugins(), *_check_suites()]
    if as_json:
        console.print_json([asdict(finding) for finding in findings])
        return
    for finding in findings:
        mark = "[green]ok     [/]" if finding.ok else "[yellow]missing[/]"
        console.out.print(f"{mark} {finding.what}: {finding.state}")
        if finding.mend:
            console.out.print(f"          mend: {finding.mend}", markup=False)


def _check_home() -> Iterator[Finding]:
    import shutil

    from anonbench.paths import home

    try:
        free = shutil.disk_usage(home()).free / 2**30
        yield Finding("cache folder", True, f"{home()}, {free:.0f} GiB free")
    except UserError as error:
        yield Finding("cache folder", False, error.what, error.mend)


def _check_extras() -> Iterator[Finding]:
    from importlib.util import find_spec

    extras = {
        "torch": ("torch", "torchvision", "safetensors", "scipy", "sklearn"),
        "faces": ("dlib", "facenet_pytorch", "onnxruntime"),
        "photos": ("cryptography",),
        "plot": ("matplotlib",),
        "ray": ("ray",),
    }
    for extra, modules in extras.items():
        absent = [module for module in modules if find_spec(module) is None]
        state = f"lacks {', '.join(absent)}" if absent else "installed"
        mend = f"pip install 'anonbench[{extra}]'" if absent else ""
        yield Finding(f"extra [{extra}]".replace("[", "\\["), not absent, state, mend)


def _check_plugins() -> Iterator[Finding]:
    from anonbench import registry

    for kind in ("methods", "judges"):
        known: registry.Registry[Any] = getattr(registry, kind)
        for name in known.names():
            yield _check_plugin(f"{known.kind} {name}", known, name)


def _check_plugin(what: str, known: Any, name: str) -> Finding:
    from anonbench import weights

    try:
        wanted = known.card(name).weights
        absent = [artefact for artefact in wanted if not weights.is_present(artefact)]
    except UserError as error:
        return Finding(what, False, error.what, error.mend)
    if absent:
        return Finding(
            what, False, f"lacks {', '.join(absent)}", f"anonbench fetch {' '.join(absent)}"
        )
    return Finding(what, True, "its weights are here" if wanted else "needs no weights")


def _check_suites() -> Iterator[Finding]:
    from anonbench import registry

    known = set(registry.judges.names())
    for name in registry.protocols.names():
        for suite, content in registry.protocols.card(name).suites.items():
            what = f"protocol {name}, suite {suite}"
            absent = [judge for judge in content.judges if judge not in known]
            if absent:
                yield Finding(what, False, f"judges not registered: {', '.join(absent)}")
            else:
                yield _check_dataset(what, content.dataset)


def _check_dataset(what: str, name: str) -> Finding:
    from anonbench import registry
    from anonbench.data import locate

    try:
        root = locate(registry.datasets.card(name), None)
    except UserError as error:
        return Finding(what, False, error.what, error.mend)
    return Finding(what, True, f"dataset {name} at {root}")
