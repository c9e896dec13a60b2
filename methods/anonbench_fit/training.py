"""Training of FIT (section 3 of Gu et al., 2020), and teachers for a small one.

Each step anonymizes a batch under passwords, recovers it under the right and under wrong ones, and
updates critics and recogniser first, then generator and password reader. Statistics of batch
normalisation are those of each call, as with the authors. What the article leaves open is as in
their code (main_train.py of laoreja/face-identity-transformer).
"""

from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from anonbench.generative.adversary import adam, update
from anonbench.generative.settings import at
from anonbench.generative.views import published, signed
from anonbench.training import losses
from anonbench.training.crops import Crops
from anonbench.training.interfaces import Batch
from anonbench_fit.bundle import pack
from anonbench_fit.critics import KINDS, Critics, Kind, PasswordReader, Pool, initialize
from anonbench_fit.losses import least_squares, password_loss
from anonbench_fit.networks import BITS, Generator, password_code
from anonbench_fit.recognisers import DlibRecogniser, Recogniser, SphereRecogniser
from anonbench_fit.reference import Stages, Statistics, fixed_by
from anonbench_fit.settings import Settings
from anonbench_fit.teachers import Made, Teachers

_Settings = Settings  # by which the class can still name it, having an attribute `Settings`
_REFERENCES = 64  # crops whose statistics an exported generator goes by


class FitTraining:
    """FIT's generator with its critics, recogniser and password reader.

    Args:
        settings: What to train and how.
        accelerator: Says on which device, and joins the processes.
        crops: The training data.
        recogniser: In place of the one that the settings name.

    Raises:
        MissingArtefact: Weights that it needs are not on this machine.
    """

    Settings: ClassVar[type[Settings]] = Settings

    def __init__(
        self,
        settings: _Settings,
        accelerator: Accelerator,
        crops: Crops,
        recogniser: Recogniser | None = None,
    ) -> None:
        self.settings, self._accelerator, self._crops = settings, accelerator, crops
        self.generator = Generator(settings.width, settings.blocks)
        self._critics = Critics(settings.critic_width)
        self._reader = PasswordReader(settings.critic_width)
        side = crops.images.shape[1]
        self._pools = nn.ModuleDict({kind: Pool(settings.pool, side) for kind in KINDS})
        initialize(nn.ModuleList([self.generator, self._critics, self._reader]))
        self._recogniser = recogniser or _recogniser(settings, crops)
        self._statistics = Statistics(self.generator)
        self._teachers = Teachers(settings, accelerator, crops)
        for part in (*self.modules.values(), self._recogniser):
            part.to(accelerator.device).to(memory_format=torch.channels_last)
        made = [*self.generator.parameters(), *self._reader.parameters()]
        judging = [(list(self._critics.parameters()), settings.critic_learning_rate)]
        if self._recogniser.trained:
            rate = settings.recogniser_learning_rate
            judging.append((list(self._recogniser.parameters()), rate))
        self._making = adam([(made, settings.learning_rate)], settings.betas)
        self._judging = adam(judging, settings.betas)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """All that is trained, and the earlier images."""
        modules: dict[str, nn.Module] = {
            "generator": self.generator,
            "critics": self._critics,
            "reader": self._reader,
            "pools": self._pools,
            "statistics": self._statistics,
        }
        if self._recogniser.trained:
            modules["recogniser"] = self._recogniser
        return modules

    @cached_property
    def _fixed(self) -> Stages:
        """The generator's stages by fixed statistics, for when these are taken."""
        return self._statistics.apply_to(self.generator)

    @property
    def _stages(self) -> Stages:
        """What makes anonymized images, and what recovers, as the training stands."""
        taken = bool(self._statistics.taken)
        return self._fixed if taken else Stages(self.generator, self.generator)

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        """Of what makes images and of what judges them."""
        return {"making": self._making, "judging": self._judging}

    def step(self, batch: Batch, step: int) -> Mapping[str, float]:
        """One update of critics and recogniser, and one of generator and password reader."""
        if step == self.settings.fixed_from:
            self._statistics.take(
                fixed_by(self.generator, self.settings.scheme, self._references())
            )
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group["rate"] * self.settings.rate(step)
        made = self._make(batch, step)
        judged = self._judge(made, step)
        if judged:
            self._descend(self._judging, judged, step)
        values = self._terms(made, step)
        self._descend(self._making, values, step)
        values |= {f"judging {name}": value for name, value in judged.items()}
        with torch.no_grad():
            error = (made.made["recovered"] - made.images).square().flatten(1).mean(dim=1)
            values["psnr"] = (10 * torch.log10(4 / error)).mean()
        return {name: float(value.detach()) for name, value in values.items()}

    # ------------------------------------------------------------------------------------- images
    def _make(self, batch: Batch, step: int) -> Made:
        batch = _window(batch, int(at(self.settings.window, step)))
        images = batch.images * 2 - 1
        password = _bits(len(images), images.device)
        anonymizer, recoverer = self._stages
        anonymized = self._generate(anonymizer, images, password)
        seen = published(anonymized) if self.settings.quantized else anonymized
        given: dict[Kind, Tensor] = {"anonymized": password, "recovered": ~password}
        made: dict[Kind, Tensor] = {
            "anonymized": anonymized,
            "recovered": self._generate(recoverer, seen, ~password),
        }
        if any(self._asks(name, step) for name in _OF_WRONG):
            given["wrongly"] = self._wrong(password)
            made["wrongly"] = self._generate(recoverer, seen, given["wrongly"])
        others: dict[Kind, Tensor] = {}
        if self._asks("feature", step):
            others["anonymized"] = self._generate(anonymizer, images, _other(password))
        if self._asks("wrong_feature", step):
            others["wrongly"] = self._generate(recoverer, seen, self._wrong(password))
        return Made(batch, images, given, made, others)

    def _generate(self, net: Generator, images: Tensor, bits: Tensor) -> Tensor:
        with self._accelerator.autocast():
            made: Tensor = net(images, password_code(bits, self.settings.scheme))
        return made.float()

    def _wrong(self, password: Tensor) -> Tensor:
        """Bits that recover nothing: random ones, or nearly those that recover."""
        count = len(password)
        flips = torch.rand(count, BITS).argsort(dim=1) < torch.randint(1, 3, (count, 1))
        near = torch.rand(count, 1) < self.settings.near
        flips = flips.to(password.device)
        return torch.where(near.to(password.device), ~password ^ flips, _other(~password))

    # ------------------------------------------------------------------------------------- losses
    def _asks(self, name: str, step: int) -> bool:
        return at(getattr(self.settings.weights, name), step) > 0

    def _judge(self, made: Made, step: int) -> dict[str, Tensor]:
        """What critics and recogniser learn from: halves of sums over real and made images."""
        values: dict[str, Tensor] = {}
        if self._asks("adversarial", step):
            values["adversarial"] = self._criticism(made)
        if self._asks("recognition", step) and self._recogniser.trained:
            shown = [*made.made.items(), ("real", made.images)]
            unseen = {name: self._unseen(image.detach(), made, step) for name, image in shown}
            fakes = unseen["anonymized"] - unseen["recovered"] + unseen["wrongly"]
            values["recognition"] = (unseen["real"] + fakes / len(KINDS)) / 2
        return values

    def _unseen(self, images: Tensor, made: Made, step: int) -> Tensor:
        features = self._features(images, made.batch.points)
        return self._recogniser.unseen(features, made.batch, step)

    def _criticism(self, made: Made) -> Tensor:
        count, parts = len(made.images), []
        for kind in KINDS:
            news = [images[kind] for images in (made.made, made.second) if kind in images]
            pool = self._pools[kind]
            assert isinstance(pool, Pool)
            shown = pool.exchange(torch.cat(news), count)
            with self._accelerator.autocast():
                fake, real = self._critics(shown, kind), self._critics(made.images, kind)
            parts += [least_squares(fake, real=False), least_squares(real, real=True)]
        return torch.stack(parts).mean()

    def _terms(self, made: Made, step: int) -> dict[str, Tensor]:
        """What generator and password reader learn from, by the names of the weights."""
        values: dict[str, Tensor] = {}
        if self._asks("adversarial", step):
            values["adversarial"] = torch.stack([self._fooled(made, kind) for kind in KINDS]).mean()
        values |= self._recognition(made, step)
        if self._asks("password", step):
            values["password"] = torch.stack([self._read(made, kind) for kind in KINDS]).sum()
        for name, kind in _LIKENESS.items():
            if self._asks(name, step):
                values[name] = (made.made[kind] - made.images).abs().mean()
        if self._asks("swap", step):
            values["swap"] = self._teachers.swapped(made, "anonymized")
        if self._asks("wrong_swap", step):
            values["wrong_swap"] = self._teachers.swapped(made, "wrongly")
        if self._asks("recovered_face", step):
            values["recovered_face"] = self._teachers.face_loss(made, "recovered", made.images)
        return values

    def _fooled(self, made: Made, kind: Kind) -> Tensor:
        with self._accelerator.autocast():
            patches = self._critics(made.made[kind], kind)
        return least_squares(patches, real=True)

    def _read(self, made: Made, kind: Kind) -> Tensor:
        with self._accelerator.autocast():
            logits = self._reader(made.before(kind), made.made[kind])
        return password_loss(logits, made.given[kind])

    def _features(self, images: Tensor, points: Tensor) -> Tensor:
        with self._accelerator.autocast():
            features = self._recogniser.features(images, points)
        return features.float()

    def _recognition(self, made: Made, step: int) -> dict[str, Tensor]:
        """Who is seen in the images, and whether those that must differ do."""
        names = ("recognition", "feature", "wrong_feature", "apart")
        if not any(self._asks(name, step) for name in names):
            return {}
        batch, values, judge = made.batch, dict[str, Tensor](), self._recogniser
        first = {kind: self._features(image, batch.points) for kind, image in made.made.items()}
        second = {kind: self._features(image, batch.points) for kind, image in made.second.items()}
        if self._asks("recognition", step):
            hidden = judge.seen(first["anonymized"], batch, step) + judge.seen(
                first["wrongly"], batch, step
            )
            values["recognition"] = (hidden + judge.unseen(first["recovered"], batch, step)) / len(
                KINDS
            )
        if self._asks("feature", step):
            values["feature"] = losses.cosine_away(first["anonymized"], second["anonymized"])
        if self._asks("wrong_feature", step):
            values["wrong_feature"] = losses.cosine_away(first["wrongly"], second["wrongly"])
        if self._asks("apart", step):
            values["apart"] = losses.cosine_away(first["anonymized"], first["wrongly"])
        return values

    def _descend(self, optimizer: Optimizer, values: Mapping[str, Tensor], step: int) -> None:
        chosen = [
            at(getattr(self.settings.weights, name), step) * value for name, value in values.items()
        ]
        update(optimizer, torch.stack(chosen).sum(), self._accelerator, self.settings.clip)

    # ---------------------------------------------------------------------------------- to look at
    def preview(self, batch: Batch) -> Tensor:
        """Original, anonymized, recovered, and recovered by a wrong password."""
        images = batch.images * 2 - 1
        password = _bits(len(images), images.device)
        anonymizer, recoverer = self._stages
        anonymized = published(self._generate(anonymizer, images, password))
        recovered = self._generate(recoverer, anonymized, ~password)
        wrongly = self._generate(recoverer, anonymized, _other(~password))
        columns = torch.stack([images, anonymized, recovered, wrongly], dim=1)
        return (columns / 2 + 0.5).clamp(0, 1)

    def export(self) -> Mapping[str, Tensor]:
        """A bundle, with the statistics that it was trained with or those of some crops."""
        stages = self._stages if self._statistics.taken else None
        scheme, half = self.settings.scheme, self.settings.half
        return pack(self.generator, scheme, self._references(), half=half, stages=stages)

    def _references(self) -> Tensor:
        """Crops `[64, 3, S, S]` in `[0, 1]`, spread over the training data."""
        places = np.linspace(0, len(self._crops.ids) - 1, _REFERENCES).astype(int)
        return (signed(self._crops.images[places]) / 2 + 0.5).to(self._accelerator.device)


# Losses that look at wrong recoveries.
_OF_WRONG = (
    *("adversarial", "recognition", "wrong_feature", "apart", "password"),
    *("wrong_likeness", "wrong_swap"),
)
_LIKENESS: dict[str, Kind] = {
    "likeness": "anonymized",
    "wrong_likeness": "wrongly",
    "reconstruction": "recovered",
}


def _recogniser(settings: Settings, crops: Crops) -> Recogniser:
    return SphereRecogniser(crops) if settings.recogniser == "sphereface" else DlibRecogniser()


def _window(batch: Batch, side: int) -> Batch:
    """A part of a batch's crops, `side` pixels wide and high; its place near the middle varies."""
    spare = batch.images.shape[-1] - side
    if not side or spare <= 0:
        return batch
    x, y = (int(torch.randint(spare // 4, spare - spare // 4 + 1, ())) for _ in range(2))
    images = batch.images[:, :, y : y + side, x : x + side]
    points = batch.points - torch.tensor([x, y], device=batch.points.device)
    return Batch(images.contiguous(memory_format=torch.channels_last), points, batch.places)


def _bits(count: int, device: torch.device) -> Tensor:
    """Random passwords `[count, 16]`."""
    return torch.randint(2, (count, BITS)).bool().to(device)


def _other(bits: Tensor) -> Tensor:
    """Random passwords, none of which is the one at its place."""
    drawn = _bits(len(bits), bits.device)
    same = (drawn == bits).all(dim=1)
    drawn[same, 0] ^= True
    return drawn
