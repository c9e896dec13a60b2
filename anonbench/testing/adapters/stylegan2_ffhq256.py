"""The 256-pixel FFHQ generator of rosinality/stylegan2-pytorch, entry `g_ema`."""

from anonbench.nets.state import load_state
from anonbench.nets.stylegan2 import Generator, Sizes, truncate
from anonbench.testing.parity import Inputs, Outputs, States


def run(states: States, inputs: Inputs) -> Outputs:
    """Mapping, decoding with and without the stored noise, truncation."""
    net = Generator(Sizes()).eval()
    load_state(net, states["g_ema"])
    w = net.map(inputs["z"])
    images = net(inputs["wplus"], None)
    return {
        "w": w,
        "image_wplus0": images[:1],
        "image_wplus1": images[1:],
        "image_wplus_noise": net(inputs["wplus"], net.stored_noise()),
        "image_z": net(w, None),
        "image_truncated": net(truncate(w, inputs["mean_latent"], 0.7), None),
    }
