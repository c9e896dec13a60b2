"""Whole runs with an empty store, beside the time that their networks and detectors take.

Run: python tests/bench/run.py --only runs
The ratio is the share of a run's time inside networks; the rest is starting, reading, waiting for
workers and computing metrics. `lfw-tar` is that of the demo: 360 anonymized images of ORL.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness import Options, Row

from anonbench.paths import home

METHODS = "identity,pixelate,g2face"


def rows(options: Options) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder, "home")
        cache.mkdir()
        (cache / "weights").symlink_to(home() / "weights")
        for result in results(cache, options):
            yield row(result)


def results(cache: Path, options: Options) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "anonbench", "run", "--method", METHODS, "--json"]
    command += ["--protocol", "lfw-tar:far=0.2", "--suite", "demo", "--output", str(cache / "runs")]
    command += ["--limit", "8"] if options.quick else []
    environment = {
        **os.environ,
        "ANONBENCH_HOME": str(cache),
        "OMP_NUM_THREADS": str(options.threads),
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [outcome["result"] for outcome in json.loads(done.stdout)]


def row(result: dict[str, Any]) -> Row:
    method, stages, wall = result["method"]["name"], result["stages"], result["wall_seconds"]
    images = max(s["computed"] for s in stages if s["name"].startswith("anonymize"))
    inside = sum(stage["network_seconds"] for stage in stages)
    note = f"{wall:.0f} s for {images} images, {result['peak_memory_mb']:,.0f} MiB"
    alone = "its networks alone"
    return Row(f"{method}, lfw-tar", images / wall, "images/s", alone, images / inside, note=note)
