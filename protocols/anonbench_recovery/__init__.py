"""Recovery protocols: how much of the image and of the hidden password comes back."""

from anonbench_recovery.password import Password
from anonbench_recovery.recovery import Recovery

__all__ = ["Password", "Recovery"]
