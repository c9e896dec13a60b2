"""Peak memory of a run over more and more images: it must not grow with them.

Run: python tests/bench/bench_memory.py --data-root DIR [--limits 1000,4000,13000]
DIR holds LFW. Each size is one process with an empty store, so that everything is computed;
weights come from the user's cache. The peak is the result's own, worker processes included.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from anonbench.paths import home

PROTOCOLS = "celebahq-similarity:images=all:seeds=1,utility:images=all,recovery:images=all"
JUDGES = "dlib-resnet,dlib-hog,fr-pose,lpips-alex"


def peak_mb(
    limit: int, data_root: Path, method: str, protocols: str, judges: str
) -> dict[str, float]:
    """Peak memory in MiB and seconds of each protocol's result."""
    with tempfile.TemporaryDirectory() as folder:
        cache, output = Path(folder, "home"), Path(folder, "runs")
        cache.mkdir()
        (cache / "weights").symlink_to(home() / "weights")
        command = [sys.executable, "-m", "anonbench", "run", "--json", "--dataset", "lfw"]
        command += ["--data-root", str(data_root), "--method", method, "--protocol", protocols]
        command += ["--judge", judges, "--limit", str(limit), "--output", str(output)]
        environment = {**os.environ, "ANONBENCH_HOME": str(cache)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        results = [outcome["result"] for outcome in json.loads(done.stdout)]
    return {result["protocol"]["name"]: result["peak_memory_mb"] for result in results}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--limits", default="1000,4000,13000")
    parser.add_argument("--method", default="pixelate")
    parser.add_argument("--protocols", default=PROTOCOLS)
    parser.add_argument("--judges", default=JUDGES)
    options = parser.parse_args()
    for limit in map(int, options.limits.split(",")):
        peaks = peak_mb(limit, options.data_root, options.method, options.protocols, options.judges)
        shown = ", ".join(f"{name} {peak:.0f}" for name, peak in peaks.items())
        print(f"{limit:6d} images: {max(peaks.values()):6.0f} MiB ({shown})", flush=True)


if __name__ == "__main__":
    main()
