"""Which methods' photos can be undone: those that recover from what a photo and a key hold."""

from anonbench import registry
from anonbench.cards import MethodCard


def can_undo(card: MethodCard) -> bool:
    """Whether its photos can be recovered; not where it needs a latent, since none is kept."""
    return card.reversible and not card.needs_latent


def why_not(card: MethodCard) -> str:
    """Why photos of a method cannot be recovered."""
    if card.needs_latent:
        return (
            f"{card.name} recovers from a latent that is made with the anonymized face, and "
            "photos keep none."
        )
    return f"{card.name} cannot be undone: what it removes is gone."


def instead(card: MethodCard) -> str:
    """What to use in place of a method that needs a latent; empty where there is nothing."""
    others = [registry.methods.card(name) for name in registry.methods.names()]
    names = [other.name for other in others if other.family == card.family and can_undo(other)]
    if not card.needs_latent or not names:
        return ""
    able = "which recovers from the photo alone, as well as it can"
    return f"Anonymize with {' or '.join(names)}, {able}."
