"""How long commands take until they compute, beside an interpreter that imports their libraries.

Run: python tests/bench/run.py --only startup
`run` is `lfw-tar` on 8 pairs of the demo (anonbench fetch --suite demo): with an empty store, to
its first stage and to its end; again into another folder, with everything in the store; and once
more, where the result is there already.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from crash_world import opened_stages
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
        first, whole = run(cache, Path(folder, "first"))
        yield from (
            compared("run, to its first stage", first, HEAVY, cache, 1),
            compared("run, nothing stored", whole, HEAVY, cache, 1),
        )
        again = (*RUN, str(Path(folder, "second")))
        yield row("run, all stored", again, cache, HEAVY, 1)
        yield row("run, finished before", again, cache, LIGHT, 1)


def row(name: str, command: tuple[str, ...], cache: Path, libraries: str, times: int) -> Row:
    own = min(once(lambda: python(cache, "-m", "anonbench", *command)) for _ in range(times))
    return compared(name, own, libraries, cache, times)


def compared(name: str, own: float, libraries: str, cache: Path, times: int) -> Row:
    """Seconds of a command beside those that importing takes."""
    plain = min(once(lambda: python(cache, "-c", libraries)) for _ in range(times))
    title, reference = f"anonbench {name}", f"python -c '{libraries}'"
    return Row(title, 1 / own, "1/s", reference, 1 / plain, note=f"{own:.2f} s")


def run(cache: Path, output: Path) -> tuple[float, float]:
    """Seconds of a run until it opens its first stage in an empty store, and until its end."""
    started = time.perf_counter()
    process = start(cache, "-m", "anonbench", *RUN, str(output))
    while not opened_stages(cache) and process.poll() is None:
        time.sleep(0.01)
    first = time.perf_counter() - started
    finish(process)
    return first, time.perf_counter() - started


def python(cache: Path, *arguments: str) -> None:
    finish(start(cache, *arguments))


def start(cache: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "ANONBENCH_HOME": str(cache)}
    return subprocess.Popen(
        [sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL
    )


def finish(process: subprocess.Popen[bytes]) -> None:
    if process.wait():
        raise RuntimeError(f"{process.args} ended with {process.returncode}")
