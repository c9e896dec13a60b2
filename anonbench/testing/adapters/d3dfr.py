"""The Deep3DFaceRecon regressor behind the parity runner."""

from anonbench.nets.d3dfr import D3dfr
from anonbench.nets.state import load_state
from anonbench.testing.parity import Inputs, Outputs, States, unit


def run(states: States, inputs: Inputs) -> Outputs:
    """Coefficients of aligned 224-px images and of 256-px crops."""
    net = D3dfr().eval()
    load_state(net, states["net_recon"], source="The layout of d3dfr")
    sizes = [size for size in (224, 256) if f"images{size}" in inputs]
    return {f"coeff{size}": net(unit(inputs[f"images{size}"])) for size in sizes}
