"""DECA's coarse encoder behind the parity runner."""

from anonbench.nets.deca import Deca
from anonbench.nets.state import load_state
from anonbench.testing.parity import Inputs, Outputs, States, unit


def run(states: States, inputs: Inputs) -> Outputs:
    """The 236 parameters of 224-px images."""
    net = Deca().eval()
    load_state(net, states["E_flame"], source="The layout of deca_e_flame")
    return {"parameters": net(unit(inputs["images"]))}
