"""What a method gives to be trained, and what the loop gives it.

The loop (`anonbench.training.loop`) owns order, seeds, checkpoints, averages and logs; a method
owns its networks, losses and optimizers. A training is registered in the entry-point group
`anonbench.trainings` as `name = "module:Attr"` and built as `Attr(settings, accelerator, crops)`,
where `settings` is an instance of its `Settings`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from pydantic import BaseModel
from torch import Tensor, nn
from torch.optim import Optimizer


@dataclass(frozen=True)
class Batch:
    """Some aligned crops, on the accelerator's device.

    Attributes:
        images: `[B, 3, S, S]` float32 RGB in `[0, 1]`, channels last in memory.
        points: `[B, 68, 2]` float32 landmarks (x, y) in pixels of the crops; where an image is
            flipped they are too.
        places: `[B]` int64, which of the `Crops` they are.
    """

    images: Tensor
    points: Tensor
    places: Tensor


class Training(Protocol):
    """One method's training.

    Its constructor puts modules on `accelerator.device`, without a wrapper, and draws initial
    weights from torch's generator, which the loop has seeded. A step runs networks within
    `accelerator.autocast()` and gradients by `accelerator.backward`; where there are several
    processes, the loop sees to it that all optimizers take the mean of their gradients.

    Whatever changes from step to step and is needed later is a parameter or buffer of a module or
    the state of an optimizer: nothing else is in a checkpoint. Learning rates and schedules follow
    from the step.

    Attributes:
        Settings: Model of the table `[training]` of a configuration.
        modules: All that is trained or counts along, by its name in checkpoints.
        optimizers: Their optimizers, by name in checkpoints.
    """

    Settings: ClassVar[type[BaseModel]]

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """All modules with a state, by name."""

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        """All optimizers, by name."""

    def step(self, batch: Batch, step: int) -> Mapping[str, float]:
        """One iteration with all updates of the optimizers.

        Args:
            batch: This process's part of the batch.
            step: Number of the iteration, from 0. The loop has seeded Python, NumPy and torch by
                it, so draw from their global generators only.

        Returns:
            Losses (and whatever else is worth a curve) by name. Which names there are may depend
            on the step, but not on the process.
        """

    def preview(self, batch: Batch) -> Tensor:
        """Pictures to look at: `[B, columns, 3, S, S]` in `[0, 1]`.

        The columns are original, anonymized and, of a reversible method, recovered. It is called
        without gradients, on every process, and must leave the modules as they were.
        """

    def export(self) -> Mapping[str, Tensor]:
        """The tensors that inference needs, by their name in `model.safetensors`."""
