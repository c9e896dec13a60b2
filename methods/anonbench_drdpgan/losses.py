"""Eq. 10 of DR-DPGAN, the one loss that it has and G²Face has not.

Eq. 9 is `generator_loss` of `anonbench.training.losses`, Eq. 11 is `cosine_towards` and
`cosine_away`, Eq. 12 is `cosine_towards`, Eq. 15 is `hiding_loss`.
"""

from torch import Tensor


def critic_loss(original: Tensor, generated: Tensor) -> Tensor:
    """`(1 - Critic(X_ori))² + Critic(X_gen)²`, each a mean (Eq. 10).

    Least where originals (carriers) are judged as 1 and generated (stego) images as 0.

    Args:
        original: What the Critic says of originals, `[B, 1]`, not squashed.
        generated: What it says of generated images, `[M, 1]`.
    """
    return deceiving_loss(original) + generated.float().square().mean()


def deceiving_loss(generated: Tensor) -> Tensor:
    """`(1 - Critic(X_gen))²`, least where generated images are judged as originals.

    Eq. 17 minimises Eq. 10 by the generator, too, for which it would make hidden information
    easier to detect. Where the generator is to heed the Critic at all, it gets this instead, the
    counterpart in a least-squares GAN (Mao et al., "Least Squares Generative Adversarial
    Networks", 2017).

    Args:
        generated: What the Critic says of generated images, `[B, 1]`.
    """
    return (1 - generated.float()).square().mean()
