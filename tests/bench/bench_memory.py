"""Peak memory of a run over more and more images: it must not grow with them.

Run: python tests/bench/bench_memory.py --data-root DIR [--limits 1000,4000,13000]
DIR holds LFW. Each size is one process with an empty store, so that everything is computed: faces
found, crops cut, anonymized, recovered, bits read, judges of all kinds, statistics. The method and
the judges are the tests' toys, which have no networks to speak of: what could grow with the images
is the engine, and a network's own memory does not know how many there are. Any others can be
named; their weights come from the user's cache. The peak is the result's own: the first process,
and the largest of its workers as many times as they run at once.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from anonbench.paths import home

TESTS = Path(__file__).parents[1]
PROTOCOLS = ",".join(
    f"{name}:images=all" for name in ("celebahq-similarity:seeds=1", "utility", "recovery")
)
JUDGES = "toy-recogniser,toy-perceptual,toy-colours,toy-corners"


def outcomes(options: argparse.Namespace, limit: int) -> list[dict[str, Any]]:
    """The results of a run on so many images in an empty store."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder, "home")
        cache.mkdir()
        (cache / "weights").symlink_to(home() / "weights")
        command = [sys.executable, "-m", "anonbench", "run", "--json", "--dataset", "lfw"]
        command += ["--data-root", str(options.data_root), "--limit", str(limit)]
        command += ["--method", options.method, "--protocol", options.protocols]
        command += ["--judge", options.judges, "--detector", options.detector]
        command += ["--workers", str(options.workers), "--output", str(Path(folder, "runs"))]
        path = os.pathsep.join([str(TESTS / "toybench"), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "ANONBENCH_HOME": str(cache), "PYTHONPATH": path}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
        return [outcome["result"] for outcome in json.loads(done.stdout)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--limits", default="1000,4000,13000")
    parser.add_argument("--method", default="toy-vault")
    parser.add_argument("--protocols", default=PROTOCOLS)
    parser.add_argument("--judges", default=JUDGES)
    parser.add_argument("--detector", default="toy-detector")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    print("images  peak MiB  seconds  peak MiB after each protocol")
    for limit in map(int, options.limits.split(",")):
        results = outcomes(options, limit)
        peaks = {one["protocol"]["name"]: one["peak_memory_mb"] for one in results}
        seconds = sum(one["wall_seconds"] for one in results)
        shown = ", ".join(f"{name} {peak:.0f}" for name, peak in peaks.items())
        print(f"{limit:6d}  {max(peaks.values()):8.0f}  {seconds:7.0f}  {shown}", flush=True)


if __name__ == "__main__":
    main()
