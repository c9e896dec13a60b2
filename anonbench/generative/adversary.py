"""The discriminator of a training: what it gets to see, and how it learns."""

from collections.abc import Sequence
from typing import Literal

from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from anonbench.generative.settings import TrainingSettings, at
from anonbench.nets.stylegan2 import Discriminator
from anonbench.training import losses
from anonbench.training.ada import AdaptiveAugmentation

Kind = Literal["anonymized", "recovered"]
Sees = Literal["both", "alternate", "anonymized"]
"""Which fakes a discriminator sees: both kinds in each step, one kind per step in turn, or one."""


class Adversary:
    """Discriminator, its optimizer and, on request, adaptive augmentation of what it sees.

    Args:
        settings: With which weights and rates it learns.
        accelerator: Says on which device.
        sees: Which fakes it sees.
        betas: Of Adam.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        accelerator: Accelerator,
        sees: Sees,
        betas: tuple[float, float],
    ) -> None:
        self._settings, self._accelerator, self._sees = settings, accelerator, sees
        self.discriminator = Discriminator(settings.sizes).to(accelerator.device)
        self.ada = AdaptiveAugmentation(settings.ada_target).to(accelerator.device)
        parameters = list(self.discriminator.parameters())
        self.optimizer = adam([(parameters, settings.discriminator_learning_rate)], betas)

    def asks(self, kind: Kind, step: int) -> bool:
        """Whether a kind of fakes shall deceive it: all that it ever sees."""
        wanted = at(self._settings.weights.adversarial, step) > 0
        return wanted and self._sees in ("both", "alternate", kind)

    def sees(self, kind: Kind, step: int) -> bool:
        """Whether the discriminator looks at a kind of fakes in this step."""
        turn = "recovered" if step % 2 else "anonymized"
        return self.asks(kind, step) and (kind == turn or self._sees != "alternate")

    def fooled(self, images: Tensor) -> Tensor:
        """The loss of fakes that it tells from real images."""
        return losses.generator_loss(self._judged(images))

    def learn(self, real: Tensor, fakes: Tensor, step: int) -> dict[str, Tensor]:
        """Update the discriminator; return its losses."""
        logits, fake_logits = self._judged(real), self._judged(fakes)
        values = {"discriminator": losses.discriminator_loss(logits, fake_logits)}
        self._update(values["discriminator"])
        if step % self._settings.r1_every == 0:
            values["r1"] = self._penalty(real)
            self._update(values["r1"] * at(self._settings.weights.r1, step))
        if self._settings.ada_target:
            self.ada.adapt(self._accelerator.gather(logits.detach()))
            values["augmented"] = self.ada.probability
        return values

    def _judged(self, images: Tensor) -> Tensor:
        """The discriminator's logits of images, augmented on request."""
        shown = self._shown(images)
        with self._accelerator.autocast():
            logits: Tensor = self.discriminator(shown)
        return logits

    def _penalty(self, real: Tensor) -> Tensor:
        """R1 at real images as they are seen, in full precision."""
        shown = self._shown(real).detach().requires_grad_()
        return losses.r1_penalty(self.discriminator(shown), shown)

    def _shown(self, images: Tensor) -> Tensor:
        shown: Tensor = self.ada(images) if self._settings.ada_target else images
        return shown

    def _update(self, loss: Tensor) -> None:
        update(self.optimizer, loss, self._accelerator, self._settings.clip)


def adam(groups: Sequence[tuple[list[nn.Parameter], float]], betas: tuple[float, float]) -> Adam:
    """Adam over groups of parameters, each with its learning rate after the warm-up (`rate`)."""
    return Adam([{"params": list(p), "rate": rate} for p, rate in groups], betas=betas)


def update(optimizer: Optimizer, loss: Tensor, accelerator: Accelerator, longest: float) -> None:
    """One step down a loss.

    Args:
        optimizer: Takes the step.
        loss: A scalar.
        accelerator: Computes the gradients.
        longest: To which they are cut; 0 leaves them.
    """
    optimizer.zero_grad(set_to_none=True)
    accelerator.backward(loss)
    if longest:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        accelerator.clip_grad_norm_(parameters, longest)
    optimizer.step()
