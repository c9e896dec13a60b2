"""The local copies of artefacts: where they are, and that they are what they should be.

Each artefact has a folder `weights/NAME/` in the cache. A receipt beside it records the digest
that was verified and a stamp of sizes and modification times, so that a later use costs a `stat`
and not a hash.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from anonbench.errors import MissingArtefact, StoreError, WrongHash
from anonbench.files import private_folder
from anonbench.paths import home
from anonbench.weights.artefacts import Artefact, lookup


class Receipt(NamedTuple):
    """What was verified, and how to notice cheaply that it changed since."""

    digest: str
    stamp: str


class Check(NamedTuple):
    """Outcome of re-hashing one artefact; `expected` and `found` are digests."""

    name: str
    status: Literal["ok", "damaged", "absent"]
    expected: str = ""
    found: str = ""


def root() -> Path:
    """The folder of all artefacts, mode 0700."""
    return private_folder(home() / "weights")


@contextmanager
def locked(key: str) -> Iterator[None]:
    """Hold a lock between processes; released by the system if this process dies."""
    from filelock import FileLock

    with FileLock(private_folder(root() / ".locks") / f"{key}.lock"):
        yield


def path(name: str) -> Path:
    """The verified local copy of an artefact: a file, or a folder for folder artefacts.

    Raises:
        UnknownName: Not in the catalogue.
        MissingArtefact: Not on this machine.
        WrongHash: It is there but damaged.
    """
    check = _check(lookup(name), trust_stamp=True)
    if check.status == "absent":
        artefact = lookup(name)
        raise MissingArtefact(
            f"The artefact '{name}' is not on this machine.",
            why=f"It is: {artefact.what}",
            mend=artefact.how_to_get,
        )
    if check.status == "damaged":
        raise WrongHash(
            f"The local copy of '{name}' in {root() / name} is damaged.",
            why=f"Expected sha256 {check.expected}, found {check.found}.",
            mend=lookup(name).how_to_get,
        )
    return location(lookup(name))


def location(artefact: Artefact) -> Path:
    """Where the artefact is, or would be, in the cache."""
    return root() / artefact.name / artefact.file


def is_present(name: str) -> bool:
    """Whether a verified, undamaged copy is on this machine."""
    return _check(lookup(name), trust_stamp=True).status == "ok"


def digest(name: str) -> str:
    """The SHA-256 that the catalogue or the first import gives for an artefact.

    For a folder it is the tree digest.

    Raises:
        UnknownName: Not in the catalogue.
        MissingArtefact: Nobody published it and nothing was imported yet.
    """
    artefact = lookup(name)
    expected = expected_digest(artefact)
    if not expected:
        raise MissingArtefact(
            f"The content hash of '{name}' is not known before its first import.",
            mend=artefact.how_to_get,
        )
    return expected


def require_by_hand(names: Iterable[str]) -> None:
    """Make sure of those artefacts that only the user can bring, before anything is fetched.

    Raises:
        MissingArtefact: Some are not on this machine; it says for each file where its authors
            offer it and where to put it.
    """
    wanted = [lookup(name) for name in dict.fromkeys(names)]
    missing = [entry for entry in wanted if entry.page and not is_present(entry.name)]
    if not missing:
        return
    files = "".join(
        f"\n    {entry.parts[0].file}{_damage(entry)}: {entry.page}" for entry in missing
    )
    commands = "".join(
        f"\n    anonbench weights import {entry.name} {entry.parts[0].file}" for entry in missing
    )
    raise MissingArtefact(
        f"Weights that only you can bring are not on this machine:{files}",
        why="Nothing else is used in their place, neither other weights nor random ones.",
        mend=f"Once you have them, run:{commands}",
    )


def _damage(artefact: Artefact) -> str:
    damaged = location(artefact).exists()
    return f" (the copy in {root() / artefact.name} is damaged)" if damaged else ""


def verify(names: Iterable[str]) -> list[Check]:
    """Hash the local copies again; an artefact that is not here is reported as absent."""
    return [_check(lookup(name), trust_stamp=False) for name in names]


def expected_digest(artefact: Artefact) -> str:
    """The catalogue's digest, else the one recorded at the first import, else empty."""
    receipt = _read_receipt(artefact.name)
    return artefact.sha256 or (receipt.digest if receipt else "")


def adopt(artefact: Artefact, folder: Path) -> None:
    """Make a filled folder the artefact's local copy, if its content is the expected one.

    The caller holds the artefact's lock. The folder is moved, so that nobody ever sees half of
    its content.

    Raises:
        WrongHash: The content is not what the catalogue or the first import says.
    """
    found = _digest_of(folder / artefact.file)
    record = _receipt_file(artefact.name)
    mend = "" if artefact.sha256 else f"If its publisher changed it on purpose, delete {record}"
    subject = f"What was brought for '{artefact.name}'"
    require_digest(subject, expected_digest(artefact), found, mend)
    target = root() / artefact.name
    if target.exists():
        shutil.rmtree(target)
    folder.rename(target)
    _write_receipt(artefact.name, Receipt(found, _stamp(target / artefact.file)))


def require_digest(subject: str, expected: str, found: str, mend: str = "") -> None:
    """WrongHash, naming both, where an expected digest is known and another was found."""
    if expected and found != expected:
        raise WrongHash(
            f"{subject} is not what it should be: expected sha256 {expected}, found {found}.",
            why="It is damaged, incomplete, or another version.",
            mend=mend,
        )


def file_digest(file: Path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def tree_digest(folder: Path) -> str:
    """SHA-256 over the list of files: lines `sha256␠␠path`, sorted by POSIX path.

    It is what `find . -type f` through `sha256sum` gives, sorted by path and without the `./`.
    """
    lines = (f"{file_digest(folder / name)}  {name}\n" for name in _files(folder))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _digest_of(place: Path) -> str:
    return tree_digest(place) if place.is_dir() else file_digest(place)


def _files(folder: Path) -> list[str]:
    """POSIX paths of all files below a folder, sorted.

    Plain strings, since LFW has 13,233 of them and every run asks.
    """
    found = []
    for top, _, names in os.walk(folder):
        inner = os.path.relpath(top, folder).replace(os.sep, "/")
        prefix = "" if inner == "." else f"{inner}/"
        found += [prefix + name for name in names]
    return sorted(found)


def _stamp(place: Path) -> str:
    """A hash over path, size and modification time of every file: it changes when they do."""
    names = _files(place) if place.is_dir() else [""]
    lines = []
    for name in names:
        state = os.stat(f"{place}/{name}" if name else place)  # noqa: PTH116 (half the time)
        lines.append(f"{state.st_size} {state.st_mtime_ns} {name}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _check(artefact: Artefact, trust_stamp: bool) -> Check:
    place, receipt = location(artefact), _read_receipt(artefact.name)
    if receipt is None or not place.exists():
        return Check(artefact.name, "absent")
    expected = artefact.sha256 or receipt.digest
    stamp = _stamp(place)
    if trust_stamp and receipt == Receipt(expected, stamp):
        return Check(artefact.name, "ok", expected, expected)
    found = _digest_of(place)
    if found != expected:
        return Check(artefact.name, "damaged", expected, found)
    _write_receipt(artefact.name, Receipt(found, stamp))
    return Check(artefact.name, "ok", expected, found)


def _receipt_file(name: str) -> Path:
    return private_folder(root() / ".receipts") / f"{name}.json"


def _read_receipt(name: str) -> Receipt | None:
    file = _receipt_file(name)
    try:
        return Receipt(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise StoreError(
            f"The record {file} of what was verified is damaged.",
            why=str(error),
            mend=f"Delete it, then run: anonbench fetch {name}",
        ) from error


def _write_receipt(name: str, receipt: Receipt) -> None:
    from anonbench.files import atomic_write

    def write(file: Path) -> None:
        file.write_text(json.dumps(receipt._asdict()), encoding="utf-8")

    atomic_write(_receipt_file(name), write)
