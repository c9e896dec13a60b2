"""The paper suite's checkpoints, drawn by rule, in the files that their authors publish."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from anonbench import weights
from anonbench.nets.iresnet import IResNet
from anonbench.testing.fill import TensorSpec, fill
from anonbench.testing.fixtures import read_layout
from anonbench.testing.parity import FilledStates
from anonbench.weights import cache, importers

G2FACE = ("g2face", "arcface-r50-ms1mv3", "d3dfr")
RECOGNISERS = ("facenet-vggface2", "facenet-casia", "arcface-r100-ms1mv3")
JUDGES = (*RECOGNISERS, "adaface-ir101-webface12m", "d3dfr", "deca", "hopenet", "inception-fid")


def filled(net: nn.Module) -> dict[str, Tensor]:
    """A network's state as the parity kit would fill it."""
    specs = [
        TensorSpec(key, tuple(value.shape), str(value.dtype).removeprefix("torch."))
        for key, value in net.state_dict().items()
    ]
    return {key: torch.from_numpy(value) for key, value in fill(specs, 0).items()}


def _facenet(kit: Path, classes: int) -> dict[str, Tensor]:
    random = np.random.default_rng(0)
    head = {
        "logits.weight": torch.from_numpy(random.random((classes, 512), dtype=np.float32)),
        "logits.bias": torch.zeros(classes),
    }
    return {**_state(kit, "facenet", "net"), **head}


def _state(kit: Path, model: str, network: str) -> dict[str, Tensor]:
    return dict(FilledStates(read_layout(kit, model))[network])


def content(kit: Path, name: str) -> Any:
    """What the authors' file of a catalogue artefact holds."""
    if name == "g2face":
        parts = ("anonymous_net", "map_2_id", "style_mlp", "hiding_extractor")
        return {part: _state(kit, "g2face", part) for part in parts}
    if name == "adaface-ir101-webface12m":
        state = _state(kit, "adaface_ir101", "model")
        return {"state_dict": {f"model.{key}": value for key, value in state.items()}}
    if name.startswith("facenet"):
        return _facenet(kit, 8631 if name == "facenet-vggface2" else 10575)
    return {
        "arcface-r50-ms1mv3": lambda: _state(kit, "arcface_r50", "backbone"),
        "arcface-r100-ms1mv3": lambda: filled(IResNet(100)),
        "d3dfr": lambda: {"net_recon": _state(kit, "d3dfr", "net_recon")},
        "deca": lambda: {"E_flame": _state(kit, "deca_e_flame", "E_flame")},
        "hopenet": lambda: _state(kit, "hopenet", "net"),
        "inception-fid": lambda: _state(kit, "inception_fid", "inception"),
    }[name]()


def install(kit: Path, names: tuple[str, ...], scratch: Path) -> Iterator[Path]:
    """Import filled files into the cache of this process, one after the other."""
    for name in names:
        artefact = weights.catalogue()[name]
        file = scratch / artefact.parts[0].file
        torch.save(content(kit, name), file)
        if artefact.parts[0].sha256:  # which a filled file has not
            folder = scratch / name
            folder.mkdir()
            importers.inception_fid(file, folder / artefact.file)
            cache.adopt(artefact, folder)
        else:
            weights.import_file(name, file)
        file.unlink()
        yield weights.path(name)
