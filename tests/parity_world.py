"""A folder of parity fixtures made from scratch: one linear layer, whose reference is numpy."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

SEED = 20_26
SHAPES = {"fc.weight": (4, 6), "fc.bias": (4,)}
ADAPTER = """
from torch import nn

from anonbench.nets.state import load_state


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 4)


def run(states, inputs):
    net = Tiny()
    load_state(net, states["tiny"], source="The layout")
    y = net.fc(inputs["x"].float() / 255)
    return {"y": y, "odd": y, "sign": y > 0, "unasked": y}


def broken(states, inputs):
    raise RuntimeError("no luck")
"""


def weights(seed: int) -> dict[str, np.ndarray]:
    """The fill rule by hand, for a weight of two axes and a bias."""

    def uniform(key: str, std: float) -> np.ndarray:
        shape = SHAPES[key]
        u = np.random.default_rng(zlib.crc32(f"{seed}:{key}".encode())).random(np.prod(shape))
        return (np.sqrt(3) * std * (2 * u - 1)).astype(np.float32).reshape(shape)

    return {
        "fc.weight": uniform("fc.weight", np.sqrt(2) / np.sqrt(6)),
        "fc.bias": uniform("fc.bias", 0.1),
    }


def outputs(seed: int, x: np.ndarray) -> dict[str, np.ndarray]:
    state = weights(seed)
    y = (x.astype(np.float64) / 255) @ state["fc.weight"].T + state["fc.bias"]
    y = y.astype(np.float32)
    return {"y": y, "odd": y[1::2, 1:].copy(), "sign": (y > 0).astype(np.uint8)}


def layout(seed: int, y: np.ndarray) -> dict[str, Any]:
    about = {"scale": float(y.std()), "tolerance": 1e-4}
    return {
        "model": "tiny",
        "seed": seed,
        "networks": {"tiny": {"state": [[k, list(s), "float32"] for k, s in SHAPES.items()]}},
        "fixtures": {
            "in.x": {"shape": [8, 6], "dtype": "uint8", "about": "pixels"},
            "out.y": {"stored": "all", "full_shape": [8, 4], **about},
            "out.odd": {"stored": "out[1::2,1:]", "full_shape": [8, 4], **about},
            "out.sign": {"stored": "all", "tolerance": "exact"},
        },
    }


def write_fixture(
    folder: Path,
    name: str = "tiny",
    *,
    change_layout: Any = None,
    change_outputs: Any = None,
    seed: int = SEED,
) -> None:
    """Write NAME.json and NAME.npz; the two functions may spoil what is about to be written."""
    folder.mkdir(parents=True, exist_ok=True)
    x = np.random.default_rng(1).integers(0, 256, (8, 6), np.uint8)
    out = outputs(seed, x)
    described = layout(seed, out["y"])
    for change, value in ((change_layout, described), (change_outputs, out)):
        if change is not None:
            change(value)
    (folder / f"{name}.json").write_text(json.dumps(described))
    np.savez(folder / f"{name}.npz", **{"in.x": x}, **{f"out.{k}": v for k, v in out.items()})


def install_adapters(site: Path) -> None:
    """A package that registers adapters, as a plug-in does, in a folder for `sys.path`."""
    info = site / "tiny_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "tiny_plugin.py").write_text(ADAPTER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[anonbench.parity]\ntiny = tiny_plugin:run\nbroken = tiny_plugin:broken\n"
        "gone = tiny_plugin_gone:run\n"
    )
