"""Training of RiDDLE's latent encryptor.

A step inverts a batch, encrypts the codes under two passwords, and decrypts the first result under
its own password and under two wrong ones. The images of the five results are compared with that of
the inverted codes; only the encryptor learns, with its dropout on.

It follows the authors' code (`mapper/training` and `scripts/run_coach_id_pwd_same.sh` of
ldz666666/RiDDLE at 6abf4a7, a source of facts):

* The original of every loss is the image of the inverted codes, not the crop: the generator cannot
  give back what the inversion lost. Only the preview shows the crop.
* Passwords are W codes of N(0, I), drawn anew for each face and step. Both wrong ones are tried on
  the first encryption; the second is never decrypted.
* The learning rate is constant, weights start as PyTorch draws them.

Where it does not:

* The authors invert 70,000 images once and never mirror them. Here a step inverts its crops, half
  of them mirrored as in every training of this suite, in 7 % of its time.
* Their training script leaves out the encryptor's linear layers and learned positions, which their
  test script and the published file have; so has this one.
* Their loss on parsing stands on a U-Net, `parsenet.pth`, which numbers the parts otherwise and
  takes images in [-1, 1]. Here it is BiSeNet, which their test script loads, with the same six
  parts.
"""

from collections.abc import Mapping
from typing import ClassVar, Self, TypeVar

import torch
from accelerate import Accelerator
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from anonbench import weights
from anonbench.errors import BadConfig
from anonbench.nets import bisenet
from anonbench.nets.bisenet import BiSeNet
from anonbench.nets.ir_se50 import IrSe50, face_region
from anonbench.nets.lpips import Lpips
from anonbench.nets.state import load_state
from anonbench.nets.stylegan2 import Generator
from anonbench.training.crops import Crops
from anonbench.training.interfaces import Batch
from anonbench.training.ranger import Ranger
from anonbench_riddle import losses
from anonbench_riddle.checkpoints import GENERATOR, INVERTER, load_prior
from anonbench_riddle.networks import LatentEncryptor
from anonbench_riddle.settings import Settings

_Settings = Settings  # by which the class can still name it, having an attribute `Settings`
N = TypeVar("N", bound=nn.Module)
SIDE = 256
"""Height and width of the crops."""
OUTPUTS = 5
"""Images that a step compares with each original."""


class Teachers(nn.Module):
    """The networks that stay as others trained them: in eval mode, without gradients of their own.

    Args:
        inverter: RGB `[B, 3, 256, 256]` in `[0, 1]` to W+ codes `[B, 14, 512]`.
        generator: StyleGAN2 for 256 pixels.
        recogniser: Face regions `[B, 3, 112, 112]` in `[0, 1]` to identities `[B, n]`.
        lpips: The perceptual loss.
        parser: RGB in `[0, 1]` to logits `[B, 19, H, W]`; None where no loss asks for it.
    """

    def __init__(
        self,
        inverter: nn.Module,
        generator: Generator,
        recogniser: nn.Module,
        lpips: Lpips,
        parser: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.inverter, self.generator, self.recogniser = inverter, generator, recogniser
        self.lpips, self.parser = lpips, parser
        self.requires_grad_(False).eval()

    @classmethod
    def load(cls, *, parses: bool) -> Self:
        """Those that the authors have, from the catalogue.

        Args:
            parses: With the face parser.

        Raises:
            MissingArtefact: Some are not on this machine; it names all that the user must bring.
            BadData: A file does not fit.
        """
        weights.require_by_hand([GENERATOR, INVERTER, "ir-se50", *["bisenet"] * parses])
        inverter, generator = load_prior()
        recogniser = _loaded(IrSe50(), "ir-se50")
        parser = _loaded(BiSeNet(), "bisenet") if parses else None
        return cls(inverter, generator, recogniser, Lpips.load("vgg"), parser)

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode."""
        return super().train(False)

    @torch.no_grad()
    def invert(self, images: Tensor) -> Tensor:
        """W+ codes `[B, 14, 512]`, float32, of images `[B, 3, 256, 256]` in `[0, 1]`."""
        codes: Tensor = self.inverter(images)
        return codes.float()

    @torch.no_grad()
    def passwords(self, count: int) -> Tensor:
        """Random passwords as W codes `[count, 512]`."""
        device = self.generator.input.input.device
        return self.generator.map(torch.randn(count, self.generator.sizes.style, device=device))

    def render(self, latents: Tensor) -> Tensor:
        """Images `[B, 3, 256, 256]`, about in `[-1, 1]`, of W+ codes, with the stored noise."""
        images: Tensor = self.generator(latents, self.generator.stored_noise())
        return images

    def identities(self, images: Tensor) -> Tensor:
        """Embeddings `[B, n]` of images in `[-1, 1]`."""
        embeddings: Tensor = self.recogniser(face_region((images + 1) / 2))
        return embeddings

    def parse(self, images: Tensor) -> Tensor:
        """Logits `[B, 19, 256, 256]` of images in `[-1, 1]`, parsed at 512 pixels."""
        if self.parser is None:
            raise TypeError("these teachers were loaded without a face parser")
        zoom = bisenet.SIZE // SIDE
        large = functional.interpolate((images + 1) / 2, scale_factor=zoom, mode="nearest")
        return functional.avg_pool2d(self.parser(large), zoom)


def _loaded(net: N, name: str) -> N:
    path = weights.path(name)
    load_state(net, load_file(path), source=str(path))
    return net


class RiddleTraining:
    """The latent encryptor with its losses and its optimizer.

    Args:
        settings: How to train.
        accelerator: Says on which device, and joins the processes.
        crops: The training data.
        teachers: In place of the published ones.

    Raises:
        BadConfig: The crops have another size.
        MissingArtefact: Weights of the teachers are not on this machine.
    """

    Settings: ClassVar[type[Settings]] = Settings

    def __init__(
        self,
        settings: _Settings,
        accelerator: Accelerator,
        crops: Crops,
        teachers: Teachers | None = None,
    ) -> None:
        side = crops.images.shape[1]
        if side != SIDE:
            raise BadConfig(
                f"RiDDLE is trained on crops of {SIDE} pixels, but these have {side}.",
                mend=f"Set data.template = 'ffhq-{SIDE}', and give another folder for the crops.",
            )
        self.settings, self._accelerator = settings, accelerator
        self._weights = settings.weights.of_losses()
        teachers = teachers or Teachers.load(parses=settings.weights.parsing > 0)
        self.teachers = teachers.to(accelerator.device)
        self.encryptor = LatentEncryptor().to(accelerator.device)
        self._optimizer = Ranger(self.encryptor.parameters(), settings.learning_rate)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The encryptor; the others stay as their files are."""
        return {"encryptor": self.encryptor}

    @property
    def optimizers(self) -> Mapping[str, Optimizer]:
        """The encryptor's."""
        return {"encryptor": self._optimizer}

    def step(self, batch: Batch, step: int) -> Mapping[str, float]:
        """One iteration; returns the losses without their weights, and cosines of identities."""
        self.encryptor.train()
        with self._accelerator.autocast():
            latents = self.teachers.invert(batch.images)
            with torch.no_grad():
                original = self.teachers.render(latents)
            values = self._losses(original, self.teachers.render(self._changed(latents)))
        total = torch.stack([w * values[name] for name, w in self._weights.items()]).sum()
        self._optimizer.zero_grad()
        self._accelerator.backward(total)
        self._optimizer.step()
        return {name: float(value.detach()) for name, value in values.items()}

    def _changed(self, latents: Tensor) -> Tensor:
        """Codes `[5 * B, 14, 512]`: twice encrypted, recovered, twice wrongly decrypted."""
        count = len(latents)
        first, second, *wrong = self.teachers.passwords(4 * count).chunk(4)
        encrypted = self.encryptor(latents.repeat(2, 1, 1), torch.cat([first, second]))
        kept = encrypted[:count].repeat(3, 1, 1)
        return torch.cat([encrypted, self.encryptor(kept, torch.cat([first, *wrong]))])

    def _losses(self, original: Tensor, outputs: Tensor) -> dict[str, Tensor]:
        """All losses between originals `[B, 3, 256, 256]` and outputs `[5 * B, 3, 256, 256]`."""
        teachers, intra, floor = self.teachers, self.settings.weights.intra, self.settings.floor
        with torch.no_grad():
            who = teachers.identities(original)
        first, second, recovered, *wrong = teachers.identities(outputs).chunk(OUTPUTS)
        images = outputs.chunk(OUTPUTS)
        values = {
            "perceptual": losses.perceptual(teachers.lpips, original, images),
            "encryption": losses.encryption_identity(who, (first, second), intra, floor),
            "decryption": losses.decryption_identity(who, recovered, wrong, intra, floor),
            "recovered_identity": losses.recovered_identity(who, recovered, floor),
            "pixels": losses.pixels(original, images),
        }
        if "parsing" in self._weights:
            with torch.no_grad():
                parts = teachers.parse(original)
            values["parsing"] = losses.parsing(parts, teachers.parse(outputs).chunk(OUTPUTS))
        values["cosine"] = losses.alike(who, first, floor=-1)
        values["recovered cosine"] = losses.alike(who, recovered, floor=-1)
        values["wrong cosine"] = losses.alike(who, wrong[0], floor=-1)
        return values

    def preview(self, batch: Batch) -> Tensor:
        """Crop, encrypted and, from the encrypted codes, recovered: `[B, 3, 3, 256, 256]`."""
        password = self.teachers.passwords(len(batch.images))
        training = self.encryptor.training
        self.encryptor.eval()
        encrypted = self.encryptor(self.teachers.invert(batch.images), password)
        recovered = self.encryptor(encrypted, password)
        self.encryptor.train(training)
        shown = [self.teachers.render(codes) / 2 + 0.5 for codes in (encrypted, recovered)]
        return torch.stack([batch.images, *shown], dim=1).clamp(0, 1)

    def export(self) -> Mapping[str, Tensor]:
        """The encryptor's state dict, as the catalogue's `riddle` has it."""
        return self.encryptor.state_dict()
