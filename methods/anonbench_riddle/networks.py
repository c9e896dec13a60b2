"""The latent encryptor of RiDDLE.

"RiDDLE: Reversible and Diversified De-identification with Latent Encryptor" (Li et al., CVPR 2023).
Keys: entry `mapper_state_dict` of the authors' checkpoints; written from the article, that layout
and the parity fixtures. The generator (StyleGAN2, 256 pixels), e4e's encoder and IR-SE50, which
stay as others trained them, are in `anonbench.nets`.
"""

import torch
from torch import Tensor, nn

DIM = 512
GROUPS = (4, 4, 6)
"""W+ codes of coarse, middle and fine layers, each group with an attention layer of its own."""
LATENTS = sum(GROUPS)
_HEADS, _FEEDFORWARD, _DROPOUT = 4, 1024, 0.1


class LatentEncryptor(nn.Module):
    """Turns the codes of a face to those of another one, or back, under a password.

    One network does both: it is trained to give the original codes when it is applied again under
    the same password, and another face under any other. In training mode a tenth of its activations
    is dropped at random; the authors' test script leaves that on.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.randn(LATENTS, 1, DIM))
        self.linear_ori = nn.Linear(DIM, DIM)
        self.linear_pwd = nn.Linear(DIM, DIM)
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(DIM, _HEADS, _FEEDFORWARD, _DROPOUT) for _ in GROUPS
        )

    def forward(self, latents: Tensor, password: Tensor) -> Tensor:
        """Encrypt or decrypt.

        Args:
            latents: W+ codes `[B, 14, 512]`.
            password: W codes `[B, 512]`, one for each face: what StyleGAN2's mapping makes of
                noise.

        Returns:
            W+ codes `[B, 14, 512]`.
        """
        codes = self.linear_ori(latents.transpose(0, 1)) + self.pos_embedding  # [14, B, 512]
        # Equal rows: how many a group sees matters to nothing but the dropout of training.
        secret = self.linear_pwd(password).expand(LATENTS, -1, -1)  # [14, B, 512]
        groups = zip(self.layers, codes.split(GROUPS), secret.split(GROUPS), strict=True)
        changed = [layer(group, memory) for layer, group, memory in groups]
        return torch.cat(changed).transpose(0, 1)
