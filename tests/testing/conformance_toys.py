"""Toy methods for the conformance suite: some that keep every promise, one for each breach."""

import random
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from anonbench.cards import MethodCard

PLAIN = MethodCard(
    name="toy",
    title="Toy",
    summary="Adds a colour that depends on the key.",
    licence="MIT",
    family="toy",
    paper="none",
    template="ffhq-64",
    key="seed",
)
VAULT = PLAIN.model_copy(update={"reversible": True, "key": "password", "hidden_bits": 8})
CODER = VAULT.model_copy(update={"hidden_format": "learned"})
TALKER = PLAIN.model_copy(update={"remarks": {"mean": "of the crop", "dark": "1 if so"}})


KEEPER = VAULT.model_copy(update={"needs_latent": True, "hidden_bits": 0})
LOCK = VAULT.model_copy(update={"password_bits": 4, "hidden_bits": 0})


def changed(card, **fields):
    return card.model_copy(update=fields)


def colours(keys):
    """One colour in [0, 0.5] per key, `[B, 3, 1, 1]`."""
    rows = [
        torch.rand(3, generator=torch.Generator().manual_seed(key[0] * 256 + key[1]))
        for key in keys
    ]
    return torch.stack(rows)[..., None, None] / 2


class Good:
    """Keeps every promise. A subclass inherits the card under its own name."""

    card = changed(PLAIN, name="Good")

    def __init_subclass__(cls):
        cls.card = changed(cls.card, name=cls.__name__)

    def __init__(self, card, device):
        self.card = card

    def anonymize(self, faces, keys):
        return (faces / 2 + colours(keys)).clamp(0, 1)


class GoodVault(Good):
    card = VAULT

    def recover(self, published, keys):
        return ((published - colours(keys)) * 2).clamp(0, 1)

    def hidden_bits(self, faces):
        return faces.mean((2, 3)).repeat(1, 3)[:, :8] > 0.5

    def extract_bits(self, published):
        return published.mean((2, 3)).repeat(1, 3)[:, :8] - 0.5


class GoodCoder(GoodVault):
    """Its bits stand for two numbers; also for those that nobody embedded."""

    card = CODER

    def hidden_numbers(self, faces):
        return faces.mean((2, 3))[:, :2]

    def decode_bits(self, bits):
        return bits.float()[:, :2]


class GoodTalker(Good):
    card = TALKER

    def anonymize_with_remarks(self, faces, keys):
        mean = faces.mean((1, 2, 3))
        return self.anonymize(faces, keys), {"mean": mean, "dark": mean < 0.5}


class GoodKeeper(Good):
    """Keeps what it publishes, before it is rounded; from an image alone it does what it can."""

    card = KEEPER

    def anonymize_with_latent(self, faces, keys):
        return self.anonymize(faces, keys), faces / 2 + colours(keys)

    def recover(self, published, keys):
        return ((published - colours(keys)) * 2).clamp(0, 1)

    def recover_from_latent(self, latents, keys):
        return self.recover(latents, keys)


class GoodLock(Good):
    """Every wrong bit of four makes a recovered image darker."""

    card = LOCK

    def recover(self, published, keys):
        return ((published - colours(keys)) * 2).clamp(0, 1)

    def recover_with_wrong_bits(self, given, keys, wrong):
        darkness = (wrong.sum(1) / 8)[:, None, None, None]
        return self.recover(given, keys) * (1 - darkness)


# ----------------------------------------------------------------------------- card and object
class NoSource(Good):
    card = changed(PLAIN, paper="", licence=" ")


class UnknownTemplate(Good):
    card = changed(PLAIN, template="ffqh-64")


class UnknownWeights(Good):
    card = changed(PLAIN, weights=("dlib-resnet", "no-such-weights"))


class CannotBeBuilt(Good):
    def __init__(self, card, device):
        raise RuntimeError("size mismatch for conv1.weight")


class DropsItsCard(Good):
    def __init__(self, card, device):
        self.card = changed(card, version=7)


class NoRecover(Good):
    card = changed(PLAIN, reversible=True)


class UnannouncedRecover(GoodVault):
    card = changed(VAULT, reversible=False)


class NoHiddenBits(Good):
    card = changed(PLAIN, hidden_bits=8)


class NoCode(GoodVault):
    card = CODER


class NoRemarks(Good):
    card = TALKER


class NoLatent(Good):
    card = changed(KEEPER, key="seed")

    def recover(self, published, keys):
        return published


class NoWrongBits(GoodKeeper):
    card = changed(LOCK, password_bits=4)


class UnannouncedRemarks(GoodTalker):
    card = PLAIN


# ----------------------------------------------------------------------------------- anonymize
class WrongShape(Good):
    def anonymize(self, faces, keys):
        return super().anonymize(faces, keys)[..., ::2, ::2]


class ReturnsArray(Good):
    def anonymize(self, faces, keys):
        return super().anonymize(faces, keys).numpy()


class Raises(Good):
    def anonymize(self, faces, keys):
        raise IndexError("list index out of range")


class WrongDevice(Good):
    def anonymize(self, faces, keys):
        return super().anonymize(faces, keys).to("meta")


class WrongDtype(Good):
    def anonymize(self, faces, keys):
        return super().anonymize(faces, keys).double()


class EightBit(Good):
    def anonymize(self, faces, keys):
        return (super().anonymize(faces, keys) * 255).to(torch.uint8)


class NotFinite(Good):
    def anonymize(self, faces, keys):
        output = super().anonymize(faces, keys)
        output[0, 0, 0, 0] = float("nan")
        return output


class OutOfRange(Good):
    def anonymize(self, faces, keys):
        return super().anonymize(faces, keys) * 2 - 1


class KeepsGraph(Good):
    def anonymize(self, faces, keys):
        with torch.inference_mode(False), torch.enable_grad():
            scale = torch.ones(1, requires_grad=True)
            return super().anonymize(faces.clone(), keys) * scale


class ChangesInput(Good):
    def anonymize(self, faces, keys):
        output = super().anonymize(faces, keys)
        faces.mul_(0.5)
        return output


class CountsCalls(Good):
    calls = 0

    def anonymize(self, faces, keys):
        self.calls += 1
        return (super().anonymize(faces, keys) + 0.01 * self.calls).clamp(0, 1)


class FreshEntropy(Good):
    def anonymize(self, faces, keys):
        generator = torch.Generator()
        generator.seed()
        return super().anonymize(faces, keys) * torch.rand(1, generator=generator)


class GlobalTorch(Good):
    def anonymize(self, faces, keys):
        return super().anonymize(faces, keys) * torch.rand_like(faces)


class GlobalNumpy(Good):
    def anonymize(self, faces, keys):
        return super().anonymize(faces, keys) * np.random.rand()


class GlobalPython(Good):
    def anonymize(self, faces, keys):
        return super().anonymize(faces, keys) * random.random()


class SeedsGlobally(Good):
    """Repeatable, but every later user of the global generator gets other numbers."""

    def anonymize(self, faces, keys):
        torch.manual_seed(5)
        return super().anonymize(faces, keys) * torch.rand(1)


class PeeksGlobally(Good):
    """Leaves the global state alone, but its output depends on it."""

    def anonymize(self, faces, keys):
        with torch.random.fork_rng():
            return super().anonymize(faces, keys) * torch.rand(1)


class UsesPosition(Good):
    def anonymize(self, faces, keys):
        place = torch.arange(len(faces)).view(-1, 1, 1, 1)
        return super().anonymize(faces, keys) / (1 + place)


class FirstKeyForAll(Good):
    def anonymize(self, faces, keys):
        return super().anonymize(faces, [keys[0]] * len(keys))


class SwapsNeighbours(Good):
    def anonymize(self, faces, keys):
        return super().anonymize(faces, keys).roll(1, 0)


class NotInEval(Good):
    """Batch normalisation that was left in training mode."""

    def __init__(self, card, device):
        super().__init__(card, device)
        self.norm = nn.BatchNorm2d(3, track_running_stats=False)

    def anonymize(self, faces, keys):
        return torch.sigmoid(self.norm(faces) + colours(keys))


class IgnoresKey(Good):
    def anonymize(self, faces, keys):
        return 1 - faces


class HidesKeyUse(Good):
    card = changed(PLAIN, key="none")


# ------------------------------------------------------------------------------------- recover
class Remembers(GoodVault):
    """Gives back the originals that it saw; a new object cannot."""

    def anonymize(self, faces, keys):
        self.originals = dict(zip(keys, faces, strict=True))
        return super().anonymize(faces, keys)

    def recover(self, published, keys):
        return torch.stack([self.originals[key] for key in keys])


class RemembersQuietly(Remembers):
    """As above, but a new object returns something instead of failing."""

    originals: ClassVar = {}

    def recover(self, published, keys):
        rows = zip(published, keys, strict=True)
        return torch.stack([self.originals.get(key, image) for image, key in rows])


class RecoverWrongShape(GoodVault):
    def recover(self, published, keys):
        return super().recover(published, keys)[:, :1]


class RecoverOutOfRange(GoodVault):
    def recover(self, published, keys):
        return super().recover(published, keys) - 1


class RecoverChangesInput(GoodVault):
    def recover(self, published, keys):
        return published.sub_(colours(keys)).clamp(0, 1)


class RecoverGlobalTorch(GoodVault):
    def recover(self, published, keys):
        return super().recover(published, keys) * torch.rand(1)


class RecoverBatchMean(GoodVault):
    def recover(self, published, keys):
        return super().recover(published, keys) * published.mean()


class RecoverIgnoresPassword(GoodVault):
    def recover(self, published, keys):
        return published * 0.9


# --------------------------------------------------------------------------------- hidden bits
class TooFewBits(GoodVault):
    def hidden_bits(self, faces):
        return super().hidden_bits(faces)[:, :7]


class BitsAsNumbers(GoodVault):
    def hidden_bits(self, faces):
        return super().hidden_bits(faces).float()


class TooManyLogits(GoodVault):
    def extract_bits(self, published):
        return super().extract_bits(published).repeat(1, 2)


class BoolLogits(GoodVault):
    def extract_bits(self, published):
        return super().extract_bits(published) > 0


class InfiniteLogits(GoodVault):
    def extract_bits(self, published):
        return super().extract_bits(published) / 0


class OneNumber(GoodCoder):
    def hidden_numbers(self, faces):
        return super().hidden_numbers(faces)[:, 0]


class NumbersOfAnotherType(GoodCoder):
    def hidden_numbers(self, faces):
        return super().hidden_numbers(faces).double()


class DecodesTooMany(GoodCoder):
    def decode_bits(self, bits):
        return bits.float()


class DecodesNothing(GoodCoder):
    def decode_bits(self, bits):
        return super().decode_bits(bits) / 0


class CannotDecodeWhatItReads(GoodCoder):
    """Its code knows the words that it makes, and no others."""

    def hidden_bits(self, faces):
        return torch.zeros(len(faces), 8, dtype=torch.bool)

    def extract_bits(self, published):
        return super().extract_bits(published).abs() + 1

    def decode_bits(self, bits):
        return torch.where(bits[:, :1], torch.nan, super().decode_bits(bits))


# ------------------------------------------------------------------------------------- remarks
class RemarksUnlisted(GoodTalker):
    def anonymize_with_remarks(self, faces, keys):
        images, said = super().anonymize_with_remarks(faces, keys)
        return images, {**said, "colour": said["mean"]}


class RemarksTooLittle(GoodTalker):
    def anonymize_with_remarks(self, faces, keys):
        images, said = super().anonymize_with_remarks(faces, keys)
        return images, {"mean": said["mean"]}


class RemarksOnce(GoodTalker):
    def anonymize_with_remarks(self, faces, keys):
        images, said = super().anonymize_with_remarks(faces, keys)
        return images, {**said, "mean": said["mean"].mean()}


class RemarksNothing(GoodTalker):
    def anonymize_with_remarks(self, faces, keys):
        images, said = super().anonymize_with_remarks(faces, keys)
        return images, {**said, "mean": said["mean"] / 0}


class RemarksOnOtherImages(GoodTalker):
    def anonymize_with_remarks(self, faces, keys):
        images, said = super().anonymize_with_remarks(faces, keys)
        return 1 - images, said


class RemarksOnTheBatch(GoodTalker):
    def anonymize_with_remarks(self, faces, keys):
        images, said = super().anonymize_with_remarks(faces, keys)
        return images, {**said, "mean": said["mean"].mean().expand(len(faces))}


# ------------------------------------------------------------------------------------- latents
class KeepsTooFew(GoodKeeper):
    def anonymize_with_latent(self, faces, keys):
        images, latents = super().anonymize_with_latent(faces, keys)
        return images, latents[1:]


class KeepsDoubles(GoodKeeper):
    def anonymize_with_latent(self, faces, keys):
        images, latents = super().anonymize_with_latent(faces, keys)
        return images, latents.double()


class KeepsNothing(GoodKeeper):
    def anonymize_with_latent(self, faces, keys):
        images, latents = super().anonymize_with_latent(faces, keys)
        return images, latents / 0


class KeepsOfOtherImages(GoodKeeper):
    def anonymize_with_latent(self, faces, keys):
        images, latents = super().anonymize_with_latent(faces, keys)
        return 1 - images, latents


class KeepsGlobalNoise(GoodKeeper):
    def anonymize_with_latent(self, faces, keys):
        images, latents = super().anonymize_with_latent(faces, keys)
        return images, latents * torch.rand(1)


class KeepsTheBatch(GoodKeeper):
    def anonymize_with_latent(self, faces, keys):
        images, latents = super().anonymize_with_latent(faces, keys)
        return images, latents + latents.mean()


class KeepsInSecret(GoodKeeper):
    """Its latents are empty: what it recovers stands in the object."""

    def anonymize_with_latent(self, faces, keys):
        images, latents = super().anonymize_with_latent(faces, keys)
        self.latents = dict(zip(keys, latents, strict=True))
        return images, latents * 0

    def recover_from_latent(self, latents, keys):
        return self.recover(torch.stack([self.latents[key] for key in keys]), keys)


class FromLatentOutOfRange(GoodKeeper):
    def recover_from_latent(self, latents, keys):
        return super().recover_from_latent(latents, keys) - 1


class FromLatentWithoutKey(GoodKeeper):
    def recover_from_latent(self, latents, keys):
        return latents.clamp(0, 1)


# ---------------------------------------------------------------------------------- wrong bits
class NeverRight(GoodLock):
    def recover_with_wrong_bits(self, given, keys, wrong):
        return super().recover_with_wrong_bits(given, keys, wrong) * 0.9


class OneForAll(GoodLock):
    def recover_with_wrong_bits(self, given, keys, wrong):
        return super().recover_with_wrong_bits(given, keys, wrong.any(0, True).expand_as(wrong))


class NeverWrong(GoodLock):
    def recover_with_wrong_bits(self, given, keys, wrong):
        return self.recover(given, keys)
