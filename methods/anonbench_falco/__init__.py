"""FALCO: faces whose latent codes are optimised until they are somebody else's (Barattin 2023)."""
