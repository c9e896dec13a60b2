"""CIAGAN's generator behind the parity runner."""

from torch.nn.functional import one_hot

from anonbench.nets.state import load_state
from anonbench.testing.parity import Inputs, Outputs, States, unit
from anonbench_ciagan.networks import IDENTITIES, Generator, composite


def run(states: States, inputs: Inputs) -> Outputs:
    """Faces from the first pass in training mode, and from evaluation mode after it."""
    net = Generator()
    load_state(net, states["generator"], source="The layout of ciagan")
    landmarks, faces, mask = unit(inputs["landmarks"]), unit(inputs["faces"]), inputs["mask"]
    surroundings = faces * (1 - mask)
    identity = one_hot(inputs["identity"], IDENTITIES).float()
    trained = net.train()(landmarks, surroundings, identity)
    generated = net.eval()(landmarks, surroundings, identity)
    return {
        "generated_train": trained,
        "generated_eval": generated,
        "generated_no_identity": net(landmarks, surroundings, None),
        "composited": composite(generated, faces, mask),
    }
