"""How long commands take until they compute, beside an interpreter that imports their libraries.

Run: python tests/bench/run.py --only startup
`run` is `lfw-tar` on 8 pairs of the demo (anonbench fetch --suite demo), all of it: with an empty
store, which takes longer than to its first batch; again into another folder, with everything in
the store; and once more, where the result is there already.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness import Options, Row, once

from anonbench.paths import home

RUN = ("run", "--method", "pixelate", "--protocol", "lfw-tar:far=0.2", "--suite", "demo")
RUN += ("--judge", "dlib-resnet", "--limit", "8", "--output")
LIGHT = "import typer, pydantic"
HEAVY = f"{LIGHT}, numpy, torch, dlib"


def rows(options: Options) -> Iterator[Row]:
    times = 1 if options.quick else 4
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder, "home")
        cache.mkdir()
        (cache / "weights").symlink_to(home() / "weights")
        for command in (("list", "methods"), ("info", "lfw-tar")):
            yield row(" ".join(command), command, cache, LIGHT, times)
        for name, output, libraries in (
            ("run, nothing stored", "first", HEAVY),
            ("run, all stored", "second", HEAVY),
            ("run, finished before", "second", LIGHT),
        ):
            yield row(name, (*RUN, str(Path(folder, output))), cache, libraries, 1)


def row(name: str, command: tuple[str, ...], cache: Path, libraries: str, times: int) -> Row:
    own = min(once(lambda: python(cache, "-m", "anonbench", *command)) for _ in range(times))
    plain = min(once(lambda: python(cache, "-c", libraries)) for _ in range(times))
    title, reference = f"anonbench {name}", f"python -c '{libraries}'"
    return Row(title, 1 / own, "1/s", reference, 1 / plain, note=f"{own:.2f} s")


def python(cache: Path, *arguments: str) -> None:
    environment = {**os.environ, "ANONBENCH_HOME": str(cache)}
    subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, check=True)
