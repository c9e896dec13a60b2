"""FSA-Net's two ONNX files behind the parity runner; they are the real ones."""

import torch

from anonbench.judges.fsanet import network_input
from anonbench.judges.onnx_session import run_each, session
from anonbench.testing.parity import Inputs, Outputs, States


def run(states: States, inputs: Inputs) -> Outputs:
    """Yaw, pitch and roll in degrees, with the files' own signs, of BGR images."""
    images = network_input(inputs["images"])
    angles = {
        name: torch.from_numpy(
            run_each(session(states.original(f"fsanet-{name}"), "cpu", "fsanet"), images, 3)
        )
        for name in ("1x1", "var")
    }
    return {
        "angles_1x1": angles["1x1"],
        "angles_var": angles["var"],
        "angles": (angles["1x1"] + angles["var"]) / 2,
    }
