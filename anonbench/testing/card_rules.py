"""What the cards and objects of methods and of judges must fulfil alike."""

from collections.abc import Iterable, Mapping

from anonbench import weights
from anonbench.cards import Card
from anonbench.data.align import template
from anonbench.errors import UserError
from anonbench.testing.outcome import NotConformingError


def texts_are_filled_in(texts: Mapping[str, str]) -> None:
    """Each text of a card, by its name, says something."""
    empty = [name for name, text in texts.items() if not text.strip()]
    if empty:
        raise NotConformingError(f"The card has no {', no '.join(empty)}. Fill it in in card.toml.")


def template_is_known(name: str) -> str:
    """The name of a template that there is."""
    try:
        return template(name).name
    except UserError as error:
        raise NotConformingError(f"{error} Correct 'template' in the card.") from error


def weights_are_known(names: Iterable[str], instead: str = "") -> None:
    """The catalogue has all artefacts of a card.

    Args:
        names: The artefacts.
        instead: What else a card could name.
    """
    unknown = sorted(set(names) - set(weights.catalogue()))
    if unknown:
        raise NotConformingError(
            f"The catalogue has no artefact {', '.join(unknown)}. Correct 'weights' in the card "
            f"(see: anonbench list weights){instead}."
        )


def has_its_card(built: object, card: Card) -> None:
    """An object keeps the card that it was built with."""
    if getattr(built, "card", None) != card:
        raise NotConformingError(
            "The object's card is not the one it was built with. Write self.card = card."
        )
