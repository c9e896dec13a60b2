"""The classical baselines of face anonymization: no change, blackout, blur and pixelation."""

from anonbench_obfuscation.methods import Blackout, Blur, Identity, Pixelate

__all__ = ["Blackout", "Blur", "Identity", "Pixelate"]
