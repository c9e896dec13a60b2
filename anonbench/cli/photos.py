"""`anonbench anonymize` and `anonbench recover`: ordinary photos, whole."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anonbench.cli import console
from anonbench.cli.options import AsJson
from anonbench.errors import BadConfig

if TYPE_CHECKING:
    from anonbench.cards import MethodCard
    from anonbench.photos.outcome import Outcome, Status

_COUNTED: "dict[Status, str]" = {
    "done": "written",
    "no face": "without a face",
    "exists": "already there",
    "failed": "failed",
}

_ENOUGH = 0.995
"""Share of a crop below which a photo holds too little of it."""

MethodName = Annotated[
    str,
    typer.Argument(
        metavar="METHOD[:KEY=VALUE]",
        help="A registered method. Example: `pixelate:block=24`",
        show_default=False,
    ),
]
Photos = Annotated[
    list[Path],
    typer.Argument(
        metavar="PHOTO",
        help="Image files, or folders that are searched to any depth. Example: `~/party me.jpg`",
        show_default=False,
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        metavar="DIR",
        help="Folder for the PNGs, each with its photo's stem. Example: --out anonymous",
        show_default=False,
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        metavar="SECRET",
        envvar="ANONBENCH_KEY",
        help="Your secret; every face gets a key of its own derived from it. A command line is "
        "seen by other users of a machine, the environment variable is not. "
        'Example: --key "four random common words"',
        show_default=False,
    ),
]
Sidecar = Annotated[
    bool,
    typer.Option(
        "--sidecar",
        help="Write STEM.anonbench beside each PNG: the anonymized crops to the last bit, "
        "encrypted with --key, so that small faces can be recovered too. Example: --sidecar",
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Overwrite files that are there already. Example: --force")
]
DetectorName = Annotated[
    str, typer.Option(help="The judge that finds the faces. Example: --detector mtcnn")
]
Upsample = Annotated[
    int,
    typer.Option(
        min=0,
        max=3,
        help="How often a photo is doubled to find smaller faces: dlib's detector needs 80 pixels "
        "at 0, 40 at 1, 20 at 2. Example: --upsample 2",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps. Example: --device cuda")]
BatchSize = Annotated[
    int, typer.Option(min=1, help="Faces per call of the method. Example: --batch-size 8")
]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline", help="Never open a socket; missing weights are an error. Example: --offline"
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands `anonymize` and `recover`."""
    app.command("anonymize")(anonymize)
    app.command("recover")(recover)


def anonymize(
    method: MethodName,
    photos: Photos,
    out: Out,
    key: Key = None,
    sidecar: Sidecar = False,
    force: Force = False,
    detector: DetectorName = "dlib-hog",
    upsample: Upsample = 1,
    device: Device = "auto",
    batch_size: BatchSize = 32,
    offline: Offline = False,
    as_json: AsJson = False,
) -> None:
    """Replace every face that is found in photos, at full resolution.

    A photo in which no face is found is named, counted, and written nowhere; so is one that
    cannot be read. Faces that the detector misses stay as they are: look at the pictures.
    The exit status is 0 where at least one photo was written, 1 where none was.

    Example: anonbench anonymize pixelate ~/party --out anonymous

    Example: anonbench anonymize g2face me.jpg us.jpg --out anonymous --key SECRET --sidecar
    """
    from anonbench import registry
    from anonbench.photos.anonymize import Anonymizer
    from anonbench.photos.crops import Machine
    from anonbench.photos.files import photos_in, targets

    card = registry.methods.parse(method)
    anonymizer = Anonymizer(
        card,
        registry.judges.parse(detector),
        Machine(device, batch_size, offline),
        secret=_secret(key),
        upsample=upsample,
        sidecar=sidecar,
        force=force,
    )
    found = photos_in(photos, out)
    remark = _remark(card)
    if remark:
        console.err.print(f"note: {remark}", markup=False)
    _report(card.name, anonymizer.run(found, targets(found, out)), remark, as_json)


def recover(
    method: MethodName,
    photos: Photos,
    out: Out,
    key: Key = None,
    force: Force = False,
    device: Device = "auto",
    batch_size: BatchSize = 32,
    offline: Offline = False,
    as_json: AsJson = False,
) -> None:
    """Recover photos that `anonbench anonymize` wrote with a reversible method.

    Where the faces are stands in the PNG. With --key, a sidecar that stands beside it is used;
    otherwise the crops are cut out of the photo, to the pixel where the faces were large enough.
    The settings of the method are those that the photo was made with, unless given anew.
    The exit status is 0 where at least one photo was written, 1 where none was.

    Example: anonbench recover g2face anonymous --out recovered --key SECRET
    """
    from anonbench.photos.crops import Machine
    from anonbench.photos.files import photos_in, targets
    from anonbench.photos.recover import Recoverer

    recoverer = Recoverer(method, Machine(device, batch_size, offline), _secret(key), force)
    found = photos_in(photos, out)
    _report(method, recoverer.run(found, targets(found, out)), "", as_json)


def _secret(key: str | None) -> str:
    if key is not None and not key.strip():
        raise BadConfig("The key is empty.", mend="Give --key a secret, or leave it out.")
    return key or ""


def _remark(card: "MethodCard") -> str:
    """What a user must know about who else can undo this method, or that nobody can."""
    from anonbench.photos.undo import instead, why_not

    if card.needs_latent:
        return f"{why_not(card)} They cannot be recovered. {instead(card)}".strip()
    if not card.reversible or card.key == "password":
        return ""
    return (
        f"{card.title} has no secret: whoever has its weights can recover the faces from the "
        "published photo, with or without --key."
    )


def _report(method: str, outcomes: "Iterator[Outcome]", remark: str, as_json: bool) -> None:
    """Show outcomes as they come; exit with 1 where no photo was written."""
    seen = []
    for outcome in outcomes:
        seen.append(outcome)
        if not as_json:
            _show(outcome)
    counts = Counter(outcome.status for outcome in seen)
    if as_json:
        rows = [_as_json(outcome) for outcome in seen]
        console.print_json({"method": method, "remark": remark, "counts": counts, "photos": rows})
    else:
        parts = [f"{counts[state]} {word}" for state, word in _COUNTED.items() if counts[state]]
        photos = "1 photo" if len(seen) == 1 else f"{len(seen)} photos"
        console.out.print(f"{photos}: {', '.join(parts)}.")
    if not counts["done"]:
        raise typer.Exit(1)


def _as_json(outcome: "Outcome") -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(outcome)


def _show(outcome: "Outcome") -> None:
    if outcome.status != "done":
        word = "skipped" if outcome.status == "exists" else outcome.status
        console.out.print(f"{outcome.photo}: {word}. {outcome.reason}", markup=False)
        return
    faces = f"{outcome.faces} face{'s' if outcome.faces > 1 else ''}"
    console.out.print(f"{outcome.photo} -> {outcome.output}  {faces}", markup=False)
    for line in _details(outcome):
        console.out.print(f"  {line}", markup=False)


def _details(outcome: "Outcome") -> Iterator[str]:
    shares = ", ".join(f"{share:.2%}" for share in outcome.kept)
    if outcome.source == "sidecar":
        yield "recovered from the sidecar, exact"
    elif outcome.source == "photo":
        yield f"recovered from the photo; of its crops it held exactly when written: {shares}"
    elif outcome.kept:
        yield f"of its crops the photo holds exactly: {shares}"
        if min(outcome.kept) < _ENOUGH and not outcome.sidecar:
            yield (
                "a face far below 100% is too small, overlapped by another or cut by the border, "
                "and hard or impossible to recover; --sidecar keeps it exact"
            )
    if outcome.sidecar:
        yield f"sidecar: {outcome.sidecar}"
    yield from (f"note: {note}" for note in outcome.notes)
