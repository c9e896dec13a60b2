"""The artefact store beside plain np.save and np.load of the same arrays.

Run: python tests/bench/run.py --only store
The store writes shards of 64 rows, waits until each is on the disk, and checks what it reads;
np.save writes one file for each 64 rows and does neither. Files are read from the page cache.
"""

import os
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from harness import Options, Row, once, rival
from numpy.typing import NDArray

from anonbench.engine.store import Artefact, Store
from anonbench.engine.store import Row as Stored

SHARD = 64
KINDS = {"image": 60_000, "embedding": 2048}
"""Bytes of a row: a PNG of 128 pixels and more, 512 numbers."""


def rows(options: Options) -> Iterator[Row]:
    for kind, size in KINDS.items():
        count = 128 if options.quick else {"image": 4_000, "embedding": 13_000}[kind]
        with tempfile.TemporaryDirectory() as folder:
            yield from measured(kind, size, count, Path(folder), options)


def measured(kind: str, size: int, count: int, folder: Path, options: Options) -> Iterator[Row]:
    ids = [f"person_{number // 3:05d}/{number:06d}.jpg" for number in range(count)]
    data = np.random.default_rng(0).integers(0, 256, (count, size), np.uint8)
    store = Store(print, folder / "store")
    megabytes = data.nbytes / 1e6
    own = once(lambda: write(store.artefact(kind, {}), kind, ids, data))
    plain = once(lambda: save(folder, data, sync=True))
    note = f"{count / own:,.0f} rows/s; np.save with fsync: {megabytes / plain:,.0f}"
    reference = once(lambda: save(folder, data, sync=False))
    yield Row(
        f"write {kind}s", megabytes / own, "MB/s", "np.save", megabytes / reference, note=note
    )
    opening = once(lambda: store.artefact(kind, {}))
    shuffled = random.Random(0).sample(ids, count)
    for order, wanted in (("in order", ids), ("in random order", shuffled)):
        read, reference = rival(
            reader(store.artefact(kind, {}), wanted), lambda: load(folder), options.turns
        )
        yield Row(
            f"read {kind}s {order}",
            megabytes / read,
            "MB/s",
            "np.load",
            megabytes / reference,
            note=f"{count / read:,.0f} rows/s; opening {count:,} rows {opening * 1e3:.0f} ms",
        )


def write(artefact: Artefact, kind: str, ids: Sequence[str], data: NDArray[np.uint8]) -> None:
    for start in range(0, len(ids), SHARD):
        part = slice(start, start + SHARD)
        values = [
            {"image": row.tobytes()} if kind == "image" else {"vector": row.view(np.float32)}
            for row in data[part]
        ]
        artefact.write([Stored(*pair) for pair in zip(ids[part], values, strict=True)])


def save(folder: Path, data: NDArray[np.uint8], sync: bool) -> None:
    for start in range(0, len(data), SHARD):
        with (folder / f"{start:06d}.npy").open("wb") as file:
            np.save(file, data[start : start + SHARD])
            file.flush()
            if sync:
                os.fsync(file.fileno())


def load(folder: Path) -> None:
    for path in sorted(folder.glob("*.npy")):
        np.load(path)


def reader(artefact: Artefact, ids: Sequence[str]) -> Callable[[], None]:
    def read() -> None:
        for _ in artefact.read(ids):
            pass

    return read
