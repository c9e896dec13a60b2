"""What a method's card says of a checkpoint."""

import pytest

from anonbench.cards import CheckpointCard, MethodCard
from anonbench.errors import BadConfig

CARD = MethodCard(
    name="toy",
    title="Toy",
    summary="Hides something.",
    licence="MIT",
    family="toy",
    paper="none",
    hidden_format="float32",
    config={"checkpoint": "plain"},
    checkpoints={
        "plain": CheckpointCard(template="ffhq-64", hidden_bits=64),
        "coded": CheckpointCard(template="ffhq-128", hidden_bits=8, hidden_format="learned"),
    },
)


@pytest.mark.parametrize(
    ("checkpoint", "said"),
    [("plain", ("ffhq-64", 64, "float32")), ("coded", ("ffhq-128", 8, "learned"))],
)
def test_a_checkpoint_may_say_what_its_bits_stand_for(checkpoint, said) -> None:
    card = CARD.configured({"checkpoint": checkpoint})
    assert (card.template, card.hidden_bits, card.hidden_format) == said


def test_an_unknown_checkpoint_is_named() -> None:
    with pytest.raises(BadConfig, match=r"no checkpoint 'none'.*plain, coded"):
        CARD.configured({"checkpoint": "none"})
