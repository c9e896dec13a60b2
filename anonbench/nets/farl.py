"""FaRL's image encoder: CLIP's vision transformer, trained on faces and captions of them.

"General Facial Representation Learning in a Visual-Linguistic Manner" (Zheng et al., 2022) on
"Learning Transferable Visual Models From Natural Language Supervision" (CLIP; Radford et al.,
2021). Keys: those of FacePerceiver/FaRL's and OpenAI's files below the prefix `visual.`. FALCO
looks for neighbours in its features and keeps attributes by its tokens.
"""

from dataclasses import dataclass
from typing import Self

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from anonbench.nets.state import load_state

MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's training images, per channel."""
UNUSED = (
    # CLIP's text tower and the temperature of its loss.
    "positional_embedding",
    "text_projection",
    "logit_scale",
    "token_embedding.weight",
    "ln_final.*",
    "transformer.*",
    # What FaRL predicts masked patches with.
    "visual.mask_token",
    "visual.lm_transformer.*",
    "visual.ln_lm.*",
    "visual.lm_head.*",
)
"""Keys of FaRL's files that the image encoder has no use for, as glob patterns."""


@dataclass(frozen=True)
class Geometry:
    """Geometry of a vision transformer; ViT-B/16 unless told otherwise.

    Attributes:
        image: Height and width of the image.
        patch: Height and width of a patch.
        width: Length of a token.
        depth: Blocks.
        heads: Of the attention.
        features: Length of the image's features.
    """

    image: int = 224
    patch: int = 16
    width: int = 768
    depth: int = 12
    heads: int = 12
    features: int = 512

    @property
    def tokens(self) -> int:
        """The class token and one for each patch."""
        return 1 + (self.image // self.patch) ** 2


class _Attention(nn.Module):
    """Self-attention under the keys of `nn.MultiheadAttention`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.randn(3 * width, width) * width**-0.5)
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        joint = functional.linear(x, self.in_proj_weight, self.in_proj_bias)
        query, key, value = joint.view(*x.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value)  # [B, heads, N, width]
        mixed: Tensor = self.out_proj(seen.transpose(1, 2).flatten(2))
        return mixed


class _QuickGelu(nn.Module):
    """CLIP's approximation of the GELU."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class _Mlp(nn.Sequential):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.gelu = _QuickGelu()
        self.c_proj = nn.Linear(4 * width, width)


class _Block(nn.Module):
    """Attention and a perceptron, each normalised before and added."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = _Attention(width, heads)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = _Mlp(width)
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        result: Tensor = x + self.mlp(self.ln_2(x))
        return result


class _Transformer(nn.Module):
    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        blocks = [_Block(geometry.width, geometry.heads) for _ in range(geometry.depth)]
        self.resblocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.resblocks(x)
        return result


class Farl(nn.Module):
    """Features of face images.

    Args:
        geometry: FaRL-Base's, which is ViT-B/16, by default.
    """

    def __init__(self, geometry: Geometry | None = None) -> None:
        super().__init__()
        geometry = geometry or Geometry()
        spread = geometry.width**-0.5
        self.class_embedding = nn.Parameter(spread * torch.randn(geometry.width))
        self.positional_embedding = nn.Parameter(
            spread * torch.randn(geometry.tokens, geometry.width)
        )
        self.proj = nn.Parameter(spread * torch.randn(geometry.width, geometry.features))
        self.conv1 = nn.Conv2d(3, geometry.width, geometry.patch, stride=geometry.patch, bias=False)
        self.ln_pre = nn.LayerNorm(geometry.width)
        self.transformer = _Transformer(geometry)
        self.ln_post = nn.LayerNorm(geometry.width)
        self.geometry = geometry

    @classmethod
    def load(cls, device: str = "cpu") -> Self:
        """The published network, from the catalogue's `farl`, for inference.

        Args:
            device: Where PyTorch runs it.

        Raises:
            MissingArtefact: It is not in the cache; the message has the command that fetches it.
            BadData: The file is not what its importer wrote.
        """
        from anonbench import weights

        file = weights.path("farl")
        with torch.inference_mode(False):  # or no gradient could ever pass through it
            with torch.device("meta"):
                net = cls()
            load_state(net, load_file(file), source=str(file), assign=True)
            return net.to(device).eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Features `[B, 512]`, of any length, of RGB images `[B, 3, 224, 224]` in `[0, 1]`.

        This is what CLIP calls `encode_image`: the class token, normalised and projected.
        """
        features: Tensor = self.ln_post(self.tokens(images)[:, 0]) @ self.proj
        return features

    def tokens(self, images: Tensor, *, standardise: bool = True) -> Tensor:
        """Tokens behind the last block, before any normalisation.

        Args:
            images: RGB `[B, 3, 224, 224]`, in `[0, 1]`.
            standardise: By CLIP's mean and deviation. FALCO's attribute loss leaves it out.

        Returns:
            `[B, 197, 768]`: the class token, then the patches row by row.
        """
        if standardise:
            images = _standardised(images)
        patches = self.conv1(images).flatten(2).transpose(1, 2)  # [B, 196, 768]
        first = self.class_embedding.expand(len(images), 1, -1)
        x = torch.cat([first, patches], dim=1) + self.positional_embedding
        tokens: Tensor = self.transformer(self.ln_pre(x))
        return tokens


def shrink(images: Tensor, side: int = 224) -> Tensor:
    """Square images `[B, 3, S, S]` at `[B, 3, side, side]`: bilinear, with antialiasing.

    FALCO resizes whole aligned faces so (`torchvision.transforms.Resize(224, antialias=True)`).
    """
    return functional.interpolate(
        images, (side, side), mode="bilinear", align_corners=False, antialias=True
    )


def _standardised(images: Tensor) -> Tensor:
    mean, deviation = (images.new_tensor(row)[:, None, None] for row in (MEAN, DEVIATION))
    return (images - mean) / deviation
