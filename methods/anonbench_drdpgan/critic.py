"""The Critic: a second discriminator, which learns to tell stego images from carriers (Eq. 10).

The article says no more about it than that, so it is built like the first one, C. It has no
gradient penalty.
"""

from accelerate import Accelerator
from torch import Tensor

from anonbench.generative.adversary import adam, update
from anonbench.generative.settings import Schedule, at
from anonbench.nets.stylegan2 import Discriminator
from anonbench_drdpgan.losses import critic_loss, deceiving_loss
from anonbench_drdpgan.settings import Settings


class Critic:
    """Discriminator and optimizer.

    Args:
        settings: With which weight and rate it learns.
        accelerator: Says on which device.
    """

    def __init__(self, settings: Settings, accelerator: Accelerator) -> None:
        self._settings, self._accelerator = settings, accelerator
        self.discriminator = Discriminator(settings.sizes).to(accelerator.device)
        parameters = list(self.discriminator.parameters())
        groups = [(parameters, settings.discriminator_learning_rate)]
        self.optimizer = adam(groups, settings.betas)

    def asks(self, step: int) -> bool:
        """Whether generated images shall deceive it in a step."""
        return self._settings.critic_deceived and self._weight(step) > 0

    def deceived(self, images: Tensor) -> Tensor:
        """The loss of generated images that it does not take for originals."""
        return deceiving_loss(self._judged(images))

    def learn(self, originals: Tensor, generated: Tensor, step: int) -> dict[str, Tensor]:
        """Update it by a batch, images `[B, 3, S, S]` and `[M, 3, S, S]`; return its loss."""
        if not self._weight(step):
            return {}
        loss = critic_loss(self._judged(originals), self._judged(generated))
        weighted = self._weight(step) * loss
        update(self.optimizer, weighted, self._accelerator, self._settings.clip)
        return {"critic": loss}

    def _weight(self, step: int) -> float:
        return at(self._settings.weights.discriminative, step)

    def _judged(self, images: Tensor) -> Tensor:
        with self._accelerator.autocast():
            judgement: Tensor = self.discriminator(images)
        return judgement


def wanted(weight: Schedule) -> bool:
    """Whether a weight is ever above zero."""
    return weight > 0 if isinstance(weight, float) else any(value > 0 for _, value in weight)
