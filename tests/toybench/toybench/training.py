"""A training of seconds: a tint is learned by one convolution against a critic's opinion."""

import os
from collections.abc import Mapping

import torch
from accelerate import Accelerator
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam

from anonbench.training.crops import Crops
from anonbench.training.interfaces import Batch

SIGNAL = "TOYBENCH_SIGNAL"
"""Environment variable `STEP:NUMBER`: a signal that the process gets in the middle of a step."""


class TintTraining:
    """Has all that makes a resume difficult: Adam, batch statistics, noise, landmarks."""

    class Settings(BaseModel):
        model_config = ConfigDict(extra="forbid")
        learning_rate: float = 0.01
        poison_loss_at: int = -1
        poison_weights_at: int = -1

    def __init__(self, settings: Settings, accelerator: Accelerator, crops: Crops) -> None:
        self.settings, self._accelerator = settings, accelerator
        painter = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 3, 1)
        )
        critic = nn.Conv2d(3, 1, 4, stride=4)
        rate = settings.learning_rate
        self.modules: Mapping[str, nn.Module] = {
            "painter": accelerator.prepare(painter),
            "critic": accelerator.prepare(critic),
        }
        self.optimizers = {
            "painter": accelerator.prepare(Adam(painter.parameters(), rate)),
            "critic": accelerator.prepare(Adam(critic.parameters(), rate)),
        }

    def step(self, batch: Batch, step: int) -> Mapping[str, float]:
        noisy = batch.images + 0.1 * torch.randn_like(batch.images)
        with self._accelerator.autocast():
            painted = self.modules["painter"](noisy)
            critical = self.modules["critic"](painted.detach()).mean() ** 2
        self._update("critic", critical)
        loss = functional.l1_loss(painted.float(), batch.images) + 1e-3 * batch.points.mean()
        self._update("painter", loss)
        if os.environ.get(SIGNAL, "").startswith(f"{step}:"):
            os.kill(os.getpid(), int(os.environ[SIGNAL].partition(":")[2]))
        if step == self.settings.poison_weights_at:
            next(self.modules["painter"].parameters()).data[0] = float("inf")
        nan = step == self.settings.poison_loss_at
        return {"l1": float("nan") if nan else loss.item(), "critic": critical.item()}

    def _update(self, name: str, loss: Tensor) -> None:
        self.optimizers[name].zero_grad()
        self._accelerator.backward(loss)
        self.optimizers[name].step()

    def preview(self, batch: Batch) -> Tensor:
        painter = self.modules["painter"].eval()
        painted = painter(batch.images)
        painter.train()
        return torch.stack([batch.images, painted, batch.images], dim=1)

    def export(self) -> Mapping[str, Tensor]:
        painter = self._accelerator.unwrap_model(self.modules["painter"])
        return {f"painter.{key}": tensor for key, tensor in painter.state_dict().items()}
