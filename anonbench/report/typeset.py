"""A LaTeX document as a PDF, by whichever engine is installed.

The engine runs in a folder of its own that is removed afterwards, reads nothing from the terminal,
and may not start other programs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from anonbench.errors import TypesettingFailed

ENGINES = {
    "pdflatex": ("-no-shell-escape", "-halt-on-error", "-interaction=nonstopmode"),
    "lualatex": ("--no-shell-escape", "--halt-on-error", "--interaction=nonstopmode"),
    "xelatex": ("-no-shell-escape", "-halt-on-error", "-interaction=nonstopmode"),
    "tectonic": ("--untrusted", "--keep-logs"),
}
"""Engines in the order in which they are looked for, with their options."""

TOLERATED = 1.0
"""Points by which a line may stick out, which nobody sees."""

_SECONDS = 300
_RUNS = 4
_NAME = "tables"
_PACKAGES = {
    "IEEEtran.cls": "texlive-publishers texlive-fonts-recommended",
    "ptmr7t": "texlive-fonts-recommended",
}
_USUAL = "texlive-latex-recommended"
_RERUN = re.compile(r"Rerun to get|No file \S+\.(?:aux|lot)\.|There were undefined references")
_OVERFULL = re.compile(r"^Overfull \\[hv]box \(([\d.]+)pt too (?:wide|high)\).*", re.MULTILINE)
_ERROR = re.compile(
    r"^! (?P<what>.*(?:\n(?!l\.\d)(?!\s*$).*)?)(?:.*\n)*?l\.(?P<line>\d+) (?P<source>.*)",
    re.MULTILINE,
)
_MISSING = re.compile(r"File `([^']+)' not found|Font \S+=(\w+) .*not loadable")


@dataclass(frozen=True)
class Typeset:
    """A document as LaTeX left it.

    Attributes:
        pdf: The file.
        overfull: What LaTeX said of lines and pages that stick out by more than `TOLERATED`.
    """

    pdf: bytes
    overfull: tuple[str, ...]


def typeset(source: str) -> Typeset:
    """Compile a document until its references are right.

    Raises:
        TypesettingFailed: No engine or package is there, or LaTeX stopped at an error; the message
            names the line of the source.
    """
    engine = find_engine()
    with TemporaryDirectory(prefix="anonbench-latex-") as name:
        folder = Path(name)
        (folder / f"{_NAME}.tex").write_text(source, encoding="utf-8")
        for _ in range(_RUNS):
            log = _run(engine, folder)
            if engine == "tectonic" or not _RERUN.search(log):
                break
        made = folder / f"{_NAME}.pdf"
        if not made.is_file():
            raise _failed(engine, log)
        return Typeset(made.read_bytes(), tuple(_overfull(log)))


def find_engine() -> str:
    """The first engine that is installed.

    Raises:
        TypesettingFailed: There is none.
    """
    for engine in ENGINES:
        if shutil.which(engine):
            return engine
    raise TypesettingFailed(
        "A PDF needs LaTeX, which is not installed.",
        why=f"None of {', '.join(ENGINES)} is on the PATH.",
        mend=f"On Debian: apt-get install --no-install-recommends {_USUAL}. Or write the source "
        "with --format latex --document article and compile it elsewhere.",
    )


def _run(engine: str, folder: Path) -> str:
    """One run; its log, also where it failed."""
    file = f"{_NAME}.tex"
    try:
        done = subprocess.run(
            [engine, *ENGINES[engine], file],
            cwd=folder,
            env={**os.environ, "max_print_line": "1000"},  # else a log breaks its lines anywhere
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TypesettingFailed(f"{engine} did not end within {_SECONDS} s.") from error
    found = folder / f"{_NAME}.log"
    written = found.read_bytes() if found.is_file() else done.stdout + done.stderr
    log = written.decode("utf-8", errors="replace")
    if done.returncode:
        raise _failed(engine, log)
    return log


def _failed(engine: str, log: str) -> TypesettingFailed:
    if missing := _MISSING.search(log):
        name = missing[1] or missing[2]
        return TypesettingFailed(
            f"{engine} has no '{name}'.",
            mend="On Debian: apt-get install --no-install-recommends "
            f"{_PACKAGES.get(name, _USUAL)}",
        )
    if error := _ERROR.search(log):
        what = " ".join(error["what"].split())
        return TypesettingFailed(
            f"{engine} stopped at line {error['line']}: {what}",
            why=f"The line has: {error['source']}",
            mend="Write the source with --format latex --document article to look at it.",
        )
    last = [line for line in log.splitlines() if line.strip()][-3:]
    return TypesettingFailed(f"{engine} made no PDF.", why=" ".join(last))


def _overfull(log: str) -> list[str]:
    return [found[0] for found in _OVERFULL.finditer(log) if float(found[1]) > TOLERATED]
