"""Recognisers of insightface's model packs, run by ONNX Runtime."""

import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from anonbench.cards import JudgeCard
from anonbench.data.align import template
from anonbench.errors import BadConfig, BadData, MissingExtra
from anonbench.judges.network import with_mirrored
from anonbench.judges.onnx_session import run_each, session


class Chosen(NamedTuple):
    """A recogniser's file, and how its input is scaled: `(x - mean) / std` of RGB in 0..255."""

    path: Path
    mean: float
    std: float


class InsightFace:
    """One ONNX recogniser for ArcFace's 112-pixel crops in RGB.

    A pack is a folder that the package `insightface` has downloaded; which of its files
    recognises faces, and how its input is scaled, the package says. A file by itself is scaled as
    the card's parameters say, which by default is what insightface's PyTorch models want; those
    that come from MXNet scale inside and want `mean=0:std=1`.

    Args:
        card: Its config names a pack or a file.
        device: `cpu` or a CUDA device; the latter needs the package `onnxruntime-gpu`.

    Raises:
        BadConfig: Neither or both are named, or ONNX Runtime cannot run on the device here.
        BadData: The pack has no recogniser or several, or the file is none.
        MissingArtefact: The pack or the file is not there.
        MissingExtra: A pack is named and the package is not installed.
    """

    def __init__(self, card: JudgeCard, device: str) -> None:
        self._chosen = _choose(card)
        # Its networks have PReLUs, too; see `FrFeature`.
        self._session = session(self._chosen.path, device, card.name, blocked=False)
        size = template(card.template).size
        length = _embedding_length(self._session, self._chosen.path, size)
        self.card = card.model_copy(update={"dim": length})

    def embed(self, crops: Tensor) -> Tensor:
        """Embeddings `[B, D]`, not differentiable, of crops `[B, 3, 112, 112]` in `[0, 1]`."""
        return with_mirrored(self._embed, crops, bool(self.card.config["flip"]))

    def _embed(self, crops: Tensor) -> Tensor:
        scaled = (crops.detach().float() * 255 - self._chosen.mean) / self._chosen.std
        vectors = run_each(self._session, scaled.cpu().numpy(), self.card.dim)
        return torch.from_numpy(vectors).to(crops.device)


def _choose(card: JudgeCard) -> Chosen:
    places = card.user_places()
    if len(places) > 1:
        raise BadConfig(
            f"{card.name} is given a pack and a file.", mend=f"Write {card.name}:file=PATH alone."
        )
    ((key, place),) = places.items()
    if key == "pack":
        return _recogniser_of(place)
    return Chosen(place, float(card.config["mean"]), float(card.config["std"]))


def _recogniser_of(pack: Path) -> Chosen:
    """The one file of a pack that the package takes for a recogniser."""
    models = {path: _routed(path) for path in sorted(pack.glob("*.onnx"))}
    found = [
        Chosen(path, float(model.input_mean), float(model.input_std))
        for path, model in models.items()
        if getattr(model, "taskname", "") == "recognition"
    ]
    if len(found) != 1:
        names = ", ".join(chosen.path.name for chosen in found) or "none"
        raise BadData(
            f"The model pack {pack} has {len(found)} recognisers: {names}.",
            why=f"It holds {', '.join(path.name for path in models) or 'no ONNX files'}.",
            mend="Name one by insightface:file=PATH",
        )
    return found[0]


def _routed(path: Path) -> Any:
    """What the package makes of an ONNX file; it prints, which is no part of our output."""
    try:
        from insightface.model_zoo import get_model
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "insightface", "insightface", "A model pack") from error
    with redirect_stdout(io.StringIO()):
        return get_model(str(path), providers=["CPUExecutionProvider"])


def _embedding_length(opened: Any, path: Path, size: int) -> int:
    """How long an embedding is, learnt from a black crop.

    Raises:
        BadData: The model takes no crop of this size, or gives more than one embedding.
    """
    inputs, outputs = opened.get_inputs(), opened.get_outputs()
    shape = inputs[0].shape
    fits = (
        len(inputs) == 1
        and len(shape) == 4
        and all(
            not isinstance(given, int) or given == wanted
            for given, wanted in zip(shape, (1, 3, size, size), strict=True)
        )
    )
    if not fits or len(outputs) != 1:
        raise BadData(
            f"{path} is no recogniser of RGB crops of {size} x {size} pixels.",
            why=f"Its inputs have the shapes {[i.shape for i in inputs]}, "
            f"its outputs {[o.shape for o in outputs]}.",
        )
    (embedding,) = opened.run(None, {inputs[0].name: np.zeros((1, 3, size, size), np.float32)})
    return int(embedding.size)
