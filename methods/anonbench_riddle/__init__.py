"""RiDDLE: faces encrypted by a password in the latent space of StyleGAN2 (Li 2023)."""
