"""Training a face classifier by its softmax, and asking it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.optim import SGD, Adam, Optimizer

from anonbench.errors import Diverged
from anonbench.nets.inception_resnet_v1 import InceptionResnetV1
from anonbench.training.ema import Ema
from anonbench_classification.options import AccuracyOptions

Pictures = NDArray[np.uint8]
"""RGB images `[N, S, S, 3]`, as a rule in a file and not in memory."""

Rows = NDArray[np.int64]

_LOG = logging.getLogger(__name__)


class Softmax:
    """A network that learns to classify faces.

    Args:
        net: The network, with a classifier.
        options: The recipe's settings.
        device: Where it learns.
    """

    def __init__(
        self, net: InceptionResnetV1, options: AccuracyOptions, device: torch.device
    ) -> None:
        self._net = net.to(device).to(memory_format=torch.channels_last)
        self._options, self._device = options, device
        self._optimizer = _optimizer(self._net, options)
        self._ema = Ema({"net": self._net}, options.ema, start=0)

    def learn(self, pictures: Pictures, rows: Rows, targets: Rows) -> NDArray[np.float64]:
        """Train on some images, and take the averaged weights in the end if they are wanted.

        Args:
            pictures: All images.
            rows: `[N]` which of them are learned.
            targets: `[N]` whose they are: codes from 0.

        Returns:
            `[epochs]` mean loss of each epoch.

        Raises:
            Diverged: A loss is not finite.
        """
        losses = []
        with _flushed_denormals():
            for epoch in range(self._options.epochs):
                losses.append(self._epoch(epoch, pictures, rows, targets))
                _LOG.info("epoch %d of %d: loss %.4f", epoch + 1, self._options.epochs, losses[-1])
        if self._ema.states:
            self._net.load_state_dict(self._ema.states["net"])
        return np.array(losses)

    def _epoch(self, epoch: int, pictures: Pictures, rows: Rows, targets: Rows) -> float:
        """One pass in an order of its own; no batch is smaller than asked for, some are larger."""
        rng = np.random.default_rng([self._options.seed, epoch])
        order = rng.permutation(len(rows))
        self._net.train()
        for group in self._optimizer.param_groups:
            group["lr"] = self._options.rate_at(epoch)
        batches = np.array_split(order, max(len(rows) // self._options.batch, 1))
        losses = [self._step(pictures[rows[batch]], targets[batch], rng) for batch in batches]
        loss = float(np.mean(losses))
        if not isfinite(loss):
            raise Diverged(
                f"The loss of the classifier is {loss} in epoch {epoch + 1}.",
                mend="Lower the setting `rate`.",
            )
        return loss

    def _step(self, pixels: Pictures, people: Rows, rng: np.random.Generator) -> float:
        if self._options.flip:
            mirrored = rng.random(len(pixels)) < 0.5
            pixels = np.where(mirrored[:, None, None, None], pixels[:, :, ::-1], pixels)
        targets = torch.from_numpy(people).to(self._device)
        loss = functional.cross_entropy(self._logits(pixels), targets)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._ema.update(step=1)
        return float(loss.detach())

    @torch.no_grad()
    def classify(self, pictures: Pictures, rows: Rows) -> Rows:
        """The code `[N]` of the person that each of these images is taken for."""
        self._net.eval()
        batches = np.array_split(rows, range(self._options.batch, len(rows), self._options.batch))
        codes = [self._logits(pictures[batch]).argmax(dim=1).cpu().numpy() for batch in batches]
        return np.concatenate(codes)

    def _logits(self, pixels: Pictures) -> Tensor:
        bytes_ = torch.from_numpy(np.ascontiguousarray(pixels)).to(self._device)
        crops = bytes_.permute(0, 3, 1, 2).float() / 255
        wanted = self._options.precision == "bfloat16"
        with torch.autocast(self._device.type, torch.bfloat16, enabled=wanted):
            return self._net.classify(crops).float()


def _optimizer(net: InceptionResnetV1, options: AccuracyOptions) -> Optimizer:
    if options.optimizer == "adam":
        return Adam(net.parameters(), options.rate, weight_decay=options.weight_decay)
    return SGD(net.parameters(), options.rate, momentum=0.9, weight_decay=options.weight_decay)


@contextmanager
def _flushed_denormals() -> Iterator[None]:
    """Within the block the processor takes the smallest numbers for 0; they slow a step down."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
