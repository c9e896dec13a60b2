"""A training of seconds: a tint is learned by one convolution against a critic's opinion."""

import os
from collections.abc import Mapping
from pathlib import Path

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

WEIGHTS = "TOYBENCH_WEIGHTS"
"""Environment variable: folder to which every process writes its parameters when it exports."""


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
        self.modules: Mapping[str, nn.Module] = {
            "painter": painter.to(accelerator.device),
            "critic": critic.to(accelerator.device),
        }
        self.optimizers = {
            name: Adam(module.parameters(), settings.learning_rate)
            for name, module in self.modules.items()
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
        return torch.stack([batch.images, painted, torch.rand_like(painted)], dim=1)

    def export(self) -> Mapping[str, Tensor]:
        if folder := os.environ.get(WEIGHTS):
            parameters = {k: dict(m.named_parameters()) for k, m in self.modules.items()}
            torch.save(parameters, Path(folder) / f"{self._accelerator.process_index}.pt")
        return {f"painter.{k}": v for k, v in self.modules["painter"].state_dict().items()}
