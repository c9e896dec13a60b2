"""Toy methods whose password has 8 bits: what comes of wrong ones can be worked out by hand."""

import torch

from toybench import _count


class Xor:
    """Combines every 8-bit pixel with the first byte of its key; undone by doing it again."""

    def __init__(self, card, device):
        self.card = card

    def anonymize(self, faces, keys):
        _count("anonymized", len(faces))
        return combined(faces, bytes_of(keys))

    def recover(self, published, keys):
        _count("recovered", len(published))
        return combined(published, bytes_of(keys))

    def recover_with_wrong_bits(self, given, keys, wrong):
        _count("misled", len(given))
        inverted = (wrong.long() << torch.arange(8)).sum(1)
        return combined(given, bytes_of(keys) ^ inverted)


class Safe(Xor):
    """Publishes grey and keeps what `Xor` would publish; from grey alone it recovers grey.

    The setting `latent` says how it is kept: `right`, or wrong in one way.
    """

    def anonymize(self, faces, keys):
        return self.anonymize_with_latent(faces, keys)[0]

    def anonymize_with_latent(self, faces, keys):
        latents = super().anonymize(faces, keys)
        wrong = {
            "right": latents,
            "too few": latents[:-1],
            "not finite": latents / 0,
            "double": latents.double(),
        }
        return torch.full_like(faces, 0.5), wrong[self.card.config["latent"]]

    def recover(self, published, keys):
        return published.clone()

    def recover_from_latent(self, latents, keys):
        return super().recover(latents, keys)


def bytes_of(keys):
    return torch.tensor([key[0] for key in keys])


def combined(images, byte):
    return ((images * 255).round().long() ^ byte[:, None, None, None]) / 255
