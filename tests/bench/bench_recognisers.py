"""Images per second of the recognisers on random crops, and of dlib's own network.

Run: python tests/bench/bench_recognisers.py [THREADS ...]
Needs: anonbench fetch dlib-resnet fr-feature. dlib itself always uses one thread on the CPU.
"""

import sys
import time
from collections.abc import Callable

import dlib
import numpy as np
import torch

from anonbench import registry, weights
from anonbench.data.align import template

BATCH, REPEATS = 64, 3


def rate(run: Callable[[], object]) -> float:
    """Images per second, best of several runs after one to warm up."""
    run()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return BATCH / min(seconds)


def judge_rate(name: str, threads: int) -> float:
    torch.set_num_threads(threads)
    card = registry.judges.card(name)
    judge = registry.judges.load(name)(card, "cpu")
    size = template(card.template).size
    crops = torch.rand(BATCH, 3, size, size)
    with torch.inference_mode():
        return rate(lambda: judge.embed(crops))


def dlib_rate() -> float:
    model = dlib.face_recognition_model_v1(str(weights.path("dlib-resnet")))
    random = np.random.default_rng(0)
    chips = list(random.integers(0, 256, (BATCH, 150, 150, 3), dtype=np.uint8))
    return rate(lambda: model.compute_face_descriptor(chips))


def main() -> None:
    for threads in [int(argument) for argument in sys.argv[1:]] or [1, 2]:
        for name in ("dlib-resnet", "fr-feature"):
            speed = judge_rate(name, threads)
            print(f"{name:12} {threads} threads {speed:8.1f} images/s", flush=True)
    print(f"{'dlib itself':12} 1 threads {dlib_rate():8.1f} images/s")


if __name__ == "__main__":
    main()
