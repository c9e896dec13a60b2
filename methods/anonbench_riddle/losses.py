"""The losses that RiDDLE's latent encryptor is trained with.

`x` is what the generator makes of a face's codes `w`, `e1` and `e2` of the same encrypted under two
passwords, `d` of the first decrypted under its password, `r1` and `r2` of it decrypted under two
wrong ones. `cos` compares identities by IR-SE50, and `[c]` is `max(c, floor)`: what is at most as
alike as the floor has no gradient. Everything is a mean over the batch.

The equations, factors included, are those of the code of the article's authors (Li et al., CVPR
2023): `mapper/training` and `criteria` of ldz666666/RiDDLE.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from anonbench.nets.bisenet import CLASSES
from anonbench.nets.lpips import Lpips

PARTS = ("left eye", "right eye", "nose", "mouth", "upper lip", "lower lip")
"""Parts of the face whose shape the loss on parsing keeps."""


def alike(a: Tensor, b: Tensor, floor: float) -> Tensor:
    """`[cos(a, b)]` of identities `[B, n]`, to be made small."""
    return functional.cosine_similarity(a.float(), b.float()).clamp(min=floor).mean()


def encryption_identity(
    original: Tensor, encrypted: Sequence[Tensor], intra: float, floor: float
) -> Tensor:
    """Identities of encrypted faces must differ from the original's, and from each other.

    `([cos(x, e1)] + [cos(x, e2)] + intra [cos(e1, e2)]) / (2 + intra)`

    Args:
        original: Of x, `[B, n]`.
        encrypted: Of e1 and e2, `[B, n]` each.
        intra: Weight of the difference between the encrypted.
        floor: Of the cosines.
    """
    first, second = encrypted
    away = alike(original, first, floor) + alike(original, second, floor)
    return (away + intra * alike(first, second, floor)) / (2 + intra)


def decryption_identity(
    original: Tensor, recovered: Tensor, wrong: Sequence[Tensor], intra: float, floor: float
) -> Tensor:
    """Identities under wrong passwords must differ from the original's and the recovered one's.

    `([cos(d, r1)] + [cos(d, r2)] + [cos(x, r1)] + [cos(x, r2)] + intra [cos(r1, r2)])
    / (4 + intra)`

    Args:
        original: Of x, `[B, n]`.
        recovered: Of d, `[B, n]`.
        wrong: Of r1 and r2, `[B, n]` each.
        intra: Weight of the difference between the wrong ones.
        floor: Of the cosines.
    """
    first, second = wrong
    pairs = ((recovered, first), (recovered, second), (original, first), (original, second))
    away = torch.stack([alike(a, b, floor) for a, b in pairs]).sum()
    return (away + intra * alike(first, second, floor)) / (4 + intra)


def recovered_identity(original: Tensor, recovered: Tensor, floor: float) -> Tensor:
    """The recovered identity must be the original's: `1 - [cos(x, d)]`, of `[B, n]`."""
    return 1 - alike(original, recovered, floor)


def perceptual(lpips: Lpips, original: Tensor, outputs: Sequence[Tensor]) -> Tensor:
    """All outputs must look like the original: the sum of `LPIPS(x, y)` over outputs y.

    Args:
        lpips: The perceptual loss.
        original: `[B, 3, H, W]` in `[-1, 1]`.
        outputs: Images like it.
    """
    with torch.no_grad():
        target = lpips.features(original)
    return torch.stack([lpips.distance(target, lpips.features(y)).mean() for y in outputs]).sum()


def pixels(original: Tensor, outputs: Sequence[Tensor]) -> Tensor:
    """The sum of the mean absolute difference `|x - y|` over outputs y, images in `[-1, 1]`."""
    return torch.stack([functional.l1_loss(y.float(), original.float()) for y in outputs]).sum()


def parsing(original: Tensor, outputs: Sequence[Tensor]) -> Tensor:
    """Eyes, nose and mouth must stay where they are: the sum of `mean((p(x) - p(y))²)` over y.

    `p` is a face parser's logits where they are of `PARTS`, and 0 elsewhere: the mean is over all
    19 classes.

    Args:
        original: Logits `[B, 19, H, W]` of the original.
        outputs: Logits of each output.
    """
    chosen = [CLASSES.index(part) for part in PARTS]
    share = len(chosen) / len(CLASSES)
    target = original[:, chosen].float()
    apart = [functional.mse_loss(logits[:, chosen].float(), target) for logits in outputs]
    return share * torch.stack(apart).sum()
