"""AdaFace's IR-101 behind the parity runner."""

from anonbench.nets.adaface import AdaFaceIR101
from anonbench.nets.state import load_state
from anonbench.testing.parity import Inputs, Outputs, States, unit


def run(states: States, inputs: Inputs) -> Outputs:
    """Embeddings of RGB crops and their lengths before they are normalised."""
    net = AdaFaceIR101().eval()
    load_state(net, states["model"], source="The layout of adaface_ir101")
    direction, norm = net(unit(inputs["images"]))
    return {"embedding": direction, "norm": norm}
