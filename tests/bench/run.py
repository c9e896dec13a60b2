"""Every bench with one command and one table.

Run: python tests/bench/run.py [--only networks,statistics] [--threads N] [--quick]
A bench is a module `bench_NAME.py` here with a function `rows(options)`. Each line of the table
compares what this suite does with a named reference in the same run; its ratio is ours over the
reference's, so 1 is as fast. Where a bench needs what is not on this machine, a line says what.
Memory has a bench of its own, which needs a dataset: bench_memory.py.
"""

import argparse
import importlib
from collections.abc import Iterator
from pathlib import Path

import torch
from harness import Options, Row, header, markdown

from anonbench.errors import UserError


def names() -> list[str]:
    """Benches with a function `rows`, which is seen without importing any of them."""
    files = sorted(Path(__file__).parent.glob("bench_*.py"))
    return [f.stem.removeprefix("bench_") for f in files if "\ndef rows(" in f.read_text()]


def rows(chosen: list[str], options: Options) -> Iterator[Row]:
    for name in chosen:
        try:
            yield from importlib.import_module(f"bench_{name}").rows(options)
        except (ModuleNotFoundError, UserError) as error:
            print(f"- {name}: left out, {str(error).splitlines()[0]}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(names()), help=f"of {', '.join(names())}")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--quick", action="store_true", help="that it runs, not how fast")
    chosen = parser.parse_args()
    if unknown := set(chosen.only.split(",")) - set(names()):
        parser.error(f"no bench {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    options = Options(chosen.threads, chosen.quick)
    torch.set_num_threads(options.threads)
    print(f"{header(options)}\n\n{markdown([])}", flush=True)
    for row in rows(chosen.only.split(","), options):
        print(markdown([row]).splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
