"""The face recogniser of the npm package `faceplugin-face-recognition-js`, run by ONNX Runtime."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor

from anonbench import weights
from anonbench.cards import JudgeCard
from anonbench.errors import BadConfig


class FrFeature:
    """A MobileFaceNet with 512-d embeddings, compared by cosine similarity.

    Its input is RGB, `(x - 127) / 128` of 0..255, as in the package's lib/fr_feature.js. On 2,000
    pairs of LFW, BGR separates slightly better (AUC 0.9964 instead of 0.9958), which hints at
    training in that order; what the publisher does is kept.

    Args:
        card: Names the ONNX file.
        device: `cpu` or a CUDA device; the latter needs the package `onnxruntime-gpu`.

    Raises:
        MissingArtefact: The file has not been fetched.
        BadConfig: ONNX Runtime cannot run on the device here.
    """

    def __init__(self, card: JudgeCard, device: str) -> None:
        self.card = card
        self._session = _session(str(weights.path(card.weights[0])), torch.device(device))

    def embed(self, crops: Tensor) -> Tensor:
        """Embeddings `[B, 512]`, not differentiable, of crops `[B, 3, 112, 112]` in `[0, 1]`."""
        inputs = ((crops.detach().float() * 255 - 127) / 128).cpu().numpy()
        vectors = np.empty((len(inputs), self.card.dim), np.float32)
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            for row, vector in enumerate(pool.map(self._embed_one, inputs)):
                vectors[row] = vector
        return torch.from_numpy(vectors).to(crops.device)

    def _embed_one(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """The file fixes the batch axis to 1, so a batch is embedded image by image."""
        (vectors,) = self._session.run(None, {"input": pixels[None]})
        vector: NDArray[np.float32] = vectors[0]
        return vector


def _session(path: str, device: torch.device) -> onnxruntime.InferenceSession:
    """A session on exactly this device; ONNX Runtime by itself would fall back to the CPU."""
    provider, options = _provider(device)
    settings = onnxruntime.SessionOptions()
    # Images run side by side, each on one thread: faster than sharing out one image's small
    # layers, and the sums do not depend on the number of threads.
    settings.intra_op_num_threads = 1
    # Level ALL would block channels for AVX; PRelu has no such kernel, and the file's 99 of them
    # make it convert to and fro: 127 instead of 47 ms an image on a Xeon.
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    if provider not in onnxruntime.get_available_providers():
        raise _unusable(device, f"the installed ONNX Runtime has no {provider}")
    session = onnxruntime.InferenceSession(path, settings, providers=[(provider, options)])
    if provider not in session.get_providers():
        raise _unusable(device, f"{provider} could not start")
    return session


def _provider(device: torch.device) -> tuple[str, dict[str, Any]]:
    if device.type == "cpu":
        return "CPUExecutionProvider", {}
    if device.type == "cuda":
        return "CUDAExecutionProvider", {"device_id": device.index or 0, "use_tf32": 0}
    raise _unusable(device, "it runs on cpu and cuda only")


def _unusable(device: torch.device, reason: str) -> BadConfig:
    return BadConfig(
        f"The judge 'fr-feature' cannot run on the device '{device}': {reason}.",
        mend="Use --device cpu, or for CUDA: pip install onnxruntime-gpu",
    )
