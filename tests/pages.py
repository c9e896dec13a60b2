"""Pages of the documentation, read as a reader follows them: `tests/docs/test_page_commands.py`.

Every Markdown file in `docs/` and the README are pages; a new one is tested without being named
anywhere. What stands behind the language of a fence says what a test does with the block (the
site and GitHub do not show it); any other fence fails.

| fence | what happens |
| --- | --- |
| `bash`, `bash exit N` | each line is an `anonbench` command that is run and ends with 0, or N |
| `bash with NAME ...` | likewise, with these artefacts of the catalogue fetched; else skipped |
| `bash needs WORDS` | each line is understood by the command's own parser, but not run |
| `text` | what the block before printed, or parts of it: its lines, in this order |
| `text layout` | a drawing of something that nobody prints |
| `python run` | is run; the blocks of a page share their names |
| `LANGUAGE FILE` (python, toml, yaml, json) | written to FILE, after a look at its syntax |
| `LANGUAGE in FILE` | an excerpt of a file that is there already (the page's own test looks) |
| `toml`, `yaml`, `json` | only a look at the syntax |

A page is followed from top to bottom in an empty folder of its own with an empty cache, and with
`results/` of the checkout beside it. In a `text`, blanks count once, and `...` stands for lines
that are left out. It belongs to the block before, which must be run; where a page's own test runs
it, that is `bash needs install`.

Understood means: options and arguments exist and convert, and so do the methods, protocols,
judges, datasets, artefacts, figures and table layouts named, with their settings. A name in
capitals (`DIR`) or after `my-`, and all in `bash needs install`, is the reader's own. Only
`bash needs` may have other programs: `pip install` with extras that exist, `make` with a target
that exists, `python` with a script that exists, and `pytest`. Commands in a sentence or table
(`anonbench info NAME` in backticks) are understood likewise, but may leave out what they need.
"""

import contextlib
import io
import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import typer

from anonbench import registry, weights
from anonbench.cli.app import app
from anonbench.report.figures import KINDS
from anonbench.results.published import tables

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```(\S*) ?(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
_SPAN = re.compile(r"(?<![`\\])`((?:anonbench|make|python) [^`]+)`")


class Block(NamedTuple):
    """A fenced block: its language, what the fence says to tests, and its text."""

    language: str
    tag: str
    text: str

    @property
    def lines(self) -> list[str]:
        """Its commands; a backslash joins lines, and comments are none."""
        joined = self.text.replace("\\\n", " ").splitlines()
        return [line for line in joined if line.strip() and not line.startswith("#")]

    @property
    def is_run(self) -> bool:
        return re.fullmatch(r"bash|bash exit \d|bash with .+|python run", self.fence) is not None

    @property
    def fence(self) -> str:
        return f"{self.language} {self.tag}".rstrip()


def blocks(page: Path | str) -> list[Block]:
    """The fenced blocks of a page, or of its text."""
    text = page.read_text(encoding="utf-8") if isinstance(page, Path) else page
    found = [Block(*parts) for parts in _BLOCK.findall(text)]
    assert 2 * len(found) == len(re.findall("^```", text, re.MULTILINE)), "a fence is left open"
    return found


def commands(page: Path | str, fence: str) -> list[str]:
    """The commands in all blocks of one fence, such as `bash needs weights`."""
    return [line for block in blocks(page) if block.fence == fence for line in block.lines]


def mentioned(page: Path | str) -> list[str]:
    """The commands in the sentences and tables of a page."""
    text = page.read_text(encoding="utf-8") if isinstance(page, Path) else page
    return [" ".join(span.split()) for span in _SPAN.findall(_BLOCK.sub("", text))]


def assert_printed(lines: str, printed: str) -> None:
    """Each line stands in what was printed, behind the one before."""
    rest = " ".join(printed.split())
    for line in filter(lambda line: line not in ("", "..."), map(str.strip, lines.splitlines())):
        _, found, rest = rest.partition(" ".join(line.split()))
        assert found, f"{line!r} is not printed, or too early:\n{printed}"


class Reader:
    """Follows a page.

    Args:
        folder: Where commands are run and files are written; the current folder.
        anonbench: The fixture that runs a command.
        artefact: The fixture that brings an artefact into the cache, or skips.
    """

    def __init__(
        self, folder: Path, anonbench: Callable[..., Any], artefact: Callable[[str], Any]
    ) -> None:
        self._folder, self._anonbench, self._artefact = folder, anonbench, artefact
        self._names: dict[str, Any] = {}
        self._printed: str | None = None

    def follow(self, page: Path | str) -> None:
        """Do what the page's blocks say, from top to bottom."""
        for block in blocks(page):
            if block.fence == "text":
                if self._printed is not None:
                    assert_printed(block.text, self._printed)
            else:
                self._printed = self._do(block)

    def _do(self, block: Block) -> str | None:
        if block.fence == "python run":
            return self._execute(block.text)
        if block.is_run:
            word, _, rest = block.tag.partition(" ")
            for name in rest.split() if word == "with" else ():
                self._artefact(name)
            return self._run(block.lines, int(rest) if word == "exit" else 0)
        if block.language not in ("bash", "text") and block.tag and not block.tag.startswith("in "):
            file = self._folder / block.tag
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        return None

    def _run(self, lines: list[str], status: int) -> str:
        printed = ""
        for line in lines:
            program, *arguments = shlex.split(line)
            assert program == "anonbench", f"only anonbench is run here, not: {line}"
            done = self._anonbench(*arguments)
            assert done.code == status, f"{line}\n{done.said}"
            printed += done.said
        return printed

    def _execute(self, code: str) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, self._names)
        return printed.getvalue()


def assert_known(page: Path | str) -> None:
    """Every fence of the page is of the convention, and what is not run is sound."""
    before: Block | None = None
    for block in blocks(page):
        if block.fence == "text":
            assert before and (before.is_run or before.tag == "needs install"), (
                f"nobody prints what this block says is printed:\n{block.text}"
            )
        elif block.language == "bash" and block.tag.startswith("needs "):
            for line in block.lines:
                understood(line, own=block.tag == "needs install")
        elif block.fence != "text layout" and not block.is_run:
            assert block.language in _SYNTAX, f"no known fence: ```{block.fence}\n{block.text}"
            assert block.tag or block.language != "python", "python needs `run` or a file name"
            _SYNTAX[block.language](block.text)
        if block.fence != "text":
            before = block


def _yaml(text: str) -> None:
    assert "\t" not in text, "YAML has no tabs"


_SYNTAX: dict[str, Callable[[str], object]] = {
    "python": lambda text: compile(text, "page", "exec"),
    "toml": tomllib.loads,
    "json": json.loads,
    "yaml": _yaml,
}


def understood(line: str, *, own: bool = False, whole: bool = True) -> dict[str, Any]:
    """The options of a command, read by its own parser without running it.

    Args:
        line: A line as one would type it.
        own: It may name plug-ins that the reader writes.
        whole: Nothing that it needs may be left out.

    Raises:
        AssertionError: The command, or something that it names, does not exist.
    """
    program, *arguments = shlex.split(line)
    if program != "anonbench":
        _OTHERS.get(program, _unknown)(arguments)
        return {}
    command = _anonbench()
    while hasattr(command, "commands") and arguments:
        name = arguments.pop(0)
        if name == "COMMAND" or (name == "--help" and not arguments):
            return {}
        assert name in command.commands, f"anonbench has no command {name}: {line}"
        command = command.commands[name]
    if hasattr(command, "commands") or "--help" in arguments:
        return {}
    given = [one for one in arguments if one not in ("...", "…")]
    try:
        with command.make_context(command.name, given) as context:
            options = dict(context.params)
    except Exception as error:  # of Typer, or of the click that Typer brings: there is no one class
        if not whole and type(error).__name__ == "MissingParameter":
            return {}
        raise AssertionError(f"{line}\n{getattr(error, 'message', error)}") from error
    if not own:
        for key, known in _NAMES.get(command.name, {}).items() | _OPTIONS.items():
            for spec in _specs(options.get(key)):
                known(spec)
    return options


@cache
def _anonbench() -> Any:
    return typer.main.get_command(app)  # takes a tenth of a second


def _specs(value: object) -> Iterator[str]:
    """Names with settings, in whatever a command took; a reader's own are in capitals."""
    texts = value if isinstance(value, list | tuple) else [value] if value else []
    for spec in (one for text in texts for one in str(text).split(",")):
        if spec != "all" and not re.match("[A-Z]+$|my-", spec):
            yield spec


def _exists(spec: str) -> None:
    """A plug-in of any kind, or an artefact."""
    kinds = (registry.methods, registry.protocols, registry.judges, registry.datasets)
    there = {*weights.catalogue()}.union(*(kind.names() for kind in kinds))
    assert spec.split(":")[0] in there, f"there is nothing named {spec}"


def _extras(arguments: list[str]) -> None:
    assert arguments[0] == "install", arguments
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for named in re.findall(r"(?:anonbench|\.)\[([\w,]+)\]", " ".join(arguments)):
        assert set(named.split(",")) <= set(known), f"there is no such extra: {named}"


def _targets(arguments: list[str]) -> None:
    there = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {one for one in arguments if "=" not in one} <= set(there), arguments


def _script(arguments: list[str]) -> None:
    first = arguments[0]
    assert first in ("-m", "-c") or (ROOT / first).is_file(), f"there is no script {first}"


def _unknown(arguments: list[str]) -> None:
    raise AssertionError(f"not a command of this page's kind: {arguments}")


_OTHERS: dict[str, Callable[[list[str]], None]] = {
    "pip": _extras,
    "make": _targets,
    "python": _script,
    "pytest": lambda arguments: None,
}
_OPTIONS: dict[str, Callable[[str], object]] = {
    "method": registry.methods.parse,
    "protocol": registry.protocols.parse,
    "judge": registry.judges.parse,
    "dataset": registry.datasets.parse,
    "detector": registry.judges.parse,
    "layout": tables().__getitem__,
}
_NAMES: dict[str, dict[str, Callable[[str], object]]] = {
    "fetch": {"names": _exists},
    "info": {"name": _exists},
    "plot": {"kind": KINDS.__getitem__},
    "test-method": {"name": registry.methods.parse},
    "test-judge": {"name": registry.judges.parse},
    "train": {"method": registry.trainings.card},
    "import": {"name": weights.catalogue().__getitem__},
    "verify": {"name": registry.datasets.card, "names": weights.catalogue().__getitem__},
}
