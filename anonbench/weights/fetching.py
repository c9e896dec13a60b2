"""How artefacts get into the cache: from the user's files, else from the mirrors in turn."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from anonbench.errors import BadConfig, MissingArtefact, Offline, UserError, WrongHash
from anonbench.weights import archives, cache, mirrors
from anonbench.weights.catalogue import Artefact, Mirror, Part, lookup
from anonbench.weights.progress import Progress


@dataclass
class _Session:
    """One call of `fetch`: what it may do, and the archives it downloaded."""

    offline: bool
    source_dir: Path | None
    progress: Progress
    archives: set[str] = field(default_factory=set)


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
        _forget_archives(session.archives)
    if errors:
        raise _joined(errors)
    return [cache.path(artefact.name) for artefact in artefacts]


def import_file(name: str, source: Path) -> Path:
    """See `anonbench.weights.import_file`."""
    artefact = lookup(name)
    if not source.exists():
        raise BadConfig(f"There is no file {source}.")
    if source.is_file() and len(artefact.parts) > 1:
        files = ", ".join(part.file for part in artefact.parts)
        raise BadConfig(
            f"'{name}' is made of several files: {files}.",
            mend=f"Put them in one folder, then: anonbench fetch {name} --from FOLDER",
        )
    with cache.locked(name), _incoming() as folder:
        if source.is_dir():
            shutil.copytree(source, folder, dirs_exist_ok=True)
        else:
            _require_part(artefact.parts[0], source)
            _add_part(artefact, artefact.parts[0], source, folder)
        cache.adopt(artefact, folder)
    return cache.path(name)


def _fetch_one(artefact: Artefact, session: _Session) -> None:
    """Fill the artefact's folder part by part, unless an undamaged copy is here."""
    with cache.locked(artefact.name):
        if cache.is_present(artefact.name):
            return
        with _incoming() as folder, TemporaryDirectory(dir=cache.root()) as scratch:
            for part in artefact.parts:
                source = _obtain(artefact, part, Path(scratch), session)
                _add_part(artefact, part, source, folder)
            cache.adopt(artefact, folder)


def _obtain(artefact: Artefact, part: Part, scratch: Path, session: _Session) -> Path:
    """The verified file of a part: the user's own, else the first mirror's that is right."""
    own = _by_hand(part, session.source_dir) if session.source_dir else None
    if own is not None:
        return own
    failures = []
    for mirror in part.mirrors:
        if session.offline and mirror.needs_network:
            failures.append(f"{mirror.text}: needs the network")
            continue
        try:
            return _from_mirror(mirror, part, scratch, session)
        except (UserError, OSError) as error:
            failures.append(f"{mirror.text}: {error}")
    raise _unobtainable(artefact, part, failures, session.offline)


def _from_mirror(mirror: Mirror, part: Part, scratch: Path, session: _Session) -> Path:
    """Bring a file and check it; a download that is wrong is thrown away."""
    target, key = scratch / part.file, mirrors.archive_key(mirror)
    with cache.locked(key):
        downloads = cache.private_folder(cache.root() / ".downloads" / key)
        session.archives.add(key)
        mirrors.bring(mirror, part, target, downloads, session.progress)
        try:
            _require_part(part, target)
        except WrongHash:
            shutil.rmtree(downloads)
            raise
    return target


def _by_hand(part: Part, folder: Path) -> Path | None:
    """The user's file for a part: known by its content, or else by its name."""
    names = {part.file, *(PurePosixPath(m.member or m.location).name for m in part.mirrors)}
    files = sorted(entry for entry in folder.iterdir() if entry.is_file())
    named = [file for file in files if file.name in names]
    if not part.sha256:
        return named[0] if named else None
    same_size = [file for file in files if part.bytes and file.stat().st_size == part.bytes]
    for file in dict.fromkeys((*named, *same_size)):
        if cache.file_digest(file) == part.sha256:
            return file
    if named:
        _require_part(part, named[0])
    return None


def _require_part(part: Part, file: Path) -> None:
    if part.sha256:
        cache.require_digest(f"The file {file}", part.sha256, cache.file_digest(file))


def _add_part(artefact: Artefact, part: Part, source: Path, folder: Path) -> None:
    """Put a part's file, or what its archive holds, where it belongs in the artefact."""
    if part.unpack is None:
        shutil.copyfile(source, folder / part.file)
    else:
        archives.extract_tree(source, part.unpack, folder, artefact.bytes)


@contextmanager
def _incoming() -> Iterator[Path]:
    """A folder beside the artefacts, to be filled and then renamed to its final name."""
    with TemporaryDirectory(dir=cache.root(), prefix=".incoming-", ignore_cleanup_errors=True) as t:
        folder = Path(t, "content")
        folder.mkdir(mode=0o700)
        yield folder


def _forget_archives(keys: Iterable[str]) -> None:
    """Delete complete downloads; what is incomplete waits for the next attempt."""
    for key in keys:
        with cache.locked(key):
            folder = cache.root() / ".downloads" / key
            if folder.exists() and not any(folder.glob("*.part")):
                shutil.rmtree(folder)


def _unobtainable(artefact: Artefact, part: Part, failures: list[str], offline: bool) -> UserError:
    listed = "\n".join(f"    {failure}" for failure in failures)
    web = [m.location for m in part.mirrors if m.scheme == "https" and not m.member]
    hand = f"Download {web[0]} by hand as {part.file}" if web else f"Get {part.file} by hand"
    by_hand = f"{hand}, then: anonbench fetch {artefact.name} --from FOLDER"
    if offline:
        return Offline(
            f"'{artefact.name}' is not on this machine and --offline was given.",
            why=f"Its file {part.file} was not found in:\n{listed}",
            mend=f"Run without --offline: {artefact.fetch_command}. {by_hand}",
        )
    return MissingArtefact(
        f"No mirror gave {part.file} of '{artefact.name}'.",
        why=f"What was tried:\n{listed}",
        mend=by_hand,
    )


def _joined(errors: list[UserError]) -> UserError:
    """One error for all artefacts that could not be had."""
    if len(errors) == 1:
        return errors[0]
    return type(errors[0])(
        f"{len(errors)} artefacts could not be had.\n"
        + "\n".join(f"  {error.what}\n  why: {error.why}" for error in errors),
        mend="\n".join(dict.fromkeys(error.mend for error in errors)),
    )
