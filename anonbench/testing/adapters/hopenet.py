"""Hopenet behind the parity runner."""

from anonbench.nets.hopenet import UNUSED, Hopenet, degrees, standardised
from anonbench.nets.state import load_state
from anonbench.testing.parity import Inputs, Outputs, States, unit


def run(states: States, inputs: Inputs) -> Outputs:
    """Logits and degrees of 224-px images."""
    net = Hopenet().eval()
    load_state(net, states["net"], source="The layout of hopenet", unused=UNUSED)
    logits = net(standardised(unit(inputs["images"])))
    return {"logits": logits, "degrees": degrees(logits)}
