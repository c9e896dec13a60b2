"""Result files: written atomically, found by id without reading them, loaded for ever.

A result is `FOLDER/<protocol>/<method and config>-<dataset>-s<seed>-<first 8 of id>.json`; its
scores stand in `scores/` beside it, one npz per result with keys `judge/array`, or `array` for
what needed no judge. A result file exists only when it is whole: both files are first written
under temporary names and synced, then renamed, the JSON last.
"""

from __future__ import annotations

import json
import logging
import os
import re
import zlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4
from zipfile import BadZipFile, is_zipfile

from pydantic import ValidationError

from anonbench.errors import StoreError, UserError
from anonbench.results.record import SCHEMA_VERSION, PluginRef, Result

if TYPE_CHECKING:
    from anonbench.values import Scores

Json = dict[str, Any]
Migrations = Mapping[int, Callable[[Json], Json]]

# From version n to n + 1. A migration may only move or derive facts, never invent one.
MIGRATIONS: Migrations = {}

_ID_LENGTH = 8
_log = logging.getLogger(__name__)


# --------------------------------------------------------------------------------------- writing
def save(result: Result, scores: Mapping[str, Scores], folder: Path) -> Path:
    """Write a result and its scores; the same id overwrites the same files.

    Args:
        result: The record; its `scores` field is set here.
        scores: Named arrays per judge, by an empty name those that needed none; empty where
            nothing was scored.
        folder: The output folder, created where needed.

    Returns:
        The path of the JSON file.

    Raises:
        StoreError: The disk is full or the folder cannot be written; nothing is left behind.
    """
    path = folder / _slug(result.protocol.name) / f"{_stem(result)}.json"
    arrays = path.parent / "scores" / f"{path.stem}.npz"
    if scores:
        result = result.model_copy(update={"scores": arrays.relative_to(path.parent).as_posix()})
    text = result.model_dump_json(indent=2) + "\n"
    try:
        with ExitStack() as stack:
            staged = []
            if scores:
                staged.append((_stage(arrays, lambda file: _savez(file, scores), stack), arrays))
            staged.append((_stage(path, lambda file: file.write(text.encode()), stack), path))
            for temporary, final in staged:
                temporary.replace(final)
    except OSError as error:
        raise StoreError(
            f"The result {path} cannot be written: {error.strerror or error}.",
            mend="Free some space or choose another folder with --output DIR, then run again.",
        ) from error
    return path


def _stage(final: Path, write: Callable[[IO[bytes]], object], stack: ExitStack) -> Path:
    """Write the content of `final` under a temporary name that the stack removes if it stays."""
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f".{final.name}.{uuid4().hex}.tmp")
    stack.callback(temporary.unlink, missing_ok=True)
    with temporary.open("xb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    return temporary


def _savez(file: IO[bytes], scores: Mapping[str, Scores]) -> None:
    import numpy as np

    flat = {
        f"{judge}/{name}" if judge else name: array
        for judge, named in scores.items()
        for name, array in named.items()
    }
    pickled = [key for key, array in flat.items() if array.dtype.hasobject]
    if pickled:
        raise TypeError(f"scores must be plain arrays, not Python objects: {', '.join(pickled)}")
    np.savez_compressed(file, **flat)  # type: ignore[arg-type]  # numpy types it as allow_pickle


def _stem(result: Result) -> str:
    dataset = _slug(result.dataset.name)
    key = result.id[:_ID_LENGTH]
    return f"{_spec_slug(result.method)}-{dataset}-s{result.setup.seed}-{key}"


def _spec_slug(plugin: PluginRef) -> str:
    """Name and config, for readers; cut to a length that every file system takes."""
    return _slug("-".join([plugin.name, *(f"{k}={v}" for k, v in plugin.config.items())]))


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._=+-]+", "-", text)[:80].strip("-.")


# --------------------------------------------------------------------------------------- reading
def load(path: Path) -> Result:
    """Read a result file of this or any earlier schema version.

    Raises:
        StoreError: The file cannot be read, is damaged, or is no result.
        UserError: It was written by a newer anonbench.
    """
    return _parse(path, _read_json(path))


def load_folder(
    folder: Path, report: Callable[[UserError], None] = lambda error: _log.warning("%s", error)
) -> list[Result]:
    """The results of `load_files`."""
    return list(load_files(folder, report).values())


def load_files(
    folder: Path, report: Callable[[UserError], None] = lambda error: _log.warning("%s", error)
) -> dict[Path, Result]:
    """Read all results below a folder, in the order of their paths.

    Args:
        folder: A folder with results at any depth; JSON Schema files in it are passed over.
        report: Called for every JSON file that cannot be used; the others are still read.

    Raises:
        StoreError: There is no such folder.
    """
    if not folder.is_dir():
        raise StoreError(
            f"There is no folder {folder}.", mend="Give the folder that `anonbench run` wrote."
        )
    results = {}
    for path in sorted(folder.rglob("*.json")):
        try:
            data = _read_json(path)
            if "$schema" not in data:
                results[path] = _parse(path, data)
        except UserError as error:
            report(error)
    return results


def find(folder: Path, result_id: str) -> Path | None:
    """The file of the result with this id, or None; only files with a fitting name are read."""
    for path in sorted(folder.rglob(f"*-{result_id[:_ID_LENGTH]}.json")):
        try:
            if load(path).id == result_id:
                return path
        except UserError as error:
            _log.warning("%s", error)
    return None


def has_scores(result_path: Path, result: Result) -> bool:
    """Whether the scores that a result names are there and not cut off; no byte is checked."""
    return not result.scores or is_zipfile(result_path.parent / result.scores)


def load_scores(result_path: Path) -> dict[str, Scores]:
    """The stored scores of a result: named arrays per judge, empty where it has none.

    Raises:
        StoreError: The result or its scores cannot be read.
    """
    import numpy as np

    relative = load(result_path).scores
    scores: dict[str, Scores] = {}
    if not relative:
        return scores
    path = result_path.parent / relative
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for key in arrays.files:
                judge, _, name = key.rpartition("/")
                scores.setdefault(judge, {})[name] = arrays[key]
    except (OSError, ValueError, EOFError, KeyError, BadZipFile, zlib.error) as error:
        raise StoreError(
            f"The scores {path} of {result_path.name} cannot be read: {error}.",
            mend=f"Delete {result_path} and run its command again; what is in the store is not "
            "computed again.",
        ) from error
    return scores


def migrate(data: Json, migrations: Migrations = MIGRATIONS, to: int = SCHEMA_VERSION) -> Json:
    """A record of an earlier schema version as one of version `to`.

    Raises:
        UserError: The record is newer than `to`.
    """
    version = data["schema_version"]
    if version > to:
        raise UserError(
            f"The result has schema version {version}; this anonbench knows up to {to}.",
            mend="Upgrade it: pip install --upgrade anonbench",
        )
    for step in range(version, to):
        data = {**migrations[step](data), "schema_version": step + 1}
    return data


def schema() -> str:
    """The JSON Schema of a result file, as indented text that ends with a newline."""
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Result.model_json_schema(mode="serialization"),
    }
    return json.dumps(document, indent=2) + "\n"


def _read_json(path: Path) -> Json:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(f"The result {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise StoreError(
            f"The result {path} is damaged: {error}.", mend="Delete it and run again."
        ) from error
    if not isinstance(data, dict):
        raise _no_result(path, "It holds no JSON object.")
    return data


def _parse(path: Path, data: Json) -> Result:
    if not isinstance(data.get("schema_version"), int):
        raise _no_result(path, "It has no schema_version.")
    try:
        return Result.model_validate(migrate(data))
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise _no_result(path, "; ".join(problems[:3]) + ".") from error
    except UserError as error:
        raise UserError(f"{path}: {error.what}", why=error.why, mend=error.mend) from error


def _no_result(path: Path, why: str) -> StoreError:
    return StoreError(
        f"{path} is no result of anonbench.", why=why, mend="Move it out of the results folder."
    )
