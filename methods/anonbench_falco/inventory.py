"""The networks of FALCO as a table of complexity lists them; nobody's weights are fetched."""

import torch

from anonbench.nets.e4e import DIM, Inverter
from anonbench.nets.farl import Farl
from anonbench.nets.ir_se50 import SIZE, IrSe50
from anonbench.nets.stylegan2 import Generator
from anonbench.values import Part
from anonbench_falco.checkpoints import SIZES
from anonbench_falco.optimise import Objective, Step
from anonbench_falco.perception import IDENTITY_SIDE, Perception


def inventory(steps: int) -> list[Part]:
    """Every network that anonymizing one image runs, and one step of its optimisation.

    G²Face's Table VII counts the generator and one pass of it; others trained all of them. What is
    run apart from the steps: the generator for the published image, IR-SE50 for the original and
    for the published image, FaRL for both and once more for the original's neighbour.

    Args:
        steps: Of the optimisation.
    """
    generator, inverter = Generator(SIZES), Inverter(SIZES.latents)
    recogniser, attributes = IrSe50(), Farl()
    step = Step(Objective(generator, Perception(recogniser, attributes, "authors"), margin=0))
    for module in (step, inverter):
        module.eval().requires_grad_(False)
    codes = torch.randn(1, SIZES.latents, DIM)
    identity = torch.randn(1, DIM)
    geometry = attributes.geometry
    tokens = torch.randn(1, geometry.tokens, geometry.width)
    aligned, face, small = (
        torch.rand(1, 3, side, side) for side in (IDENTITY_SIDE, SIZE, geometry.image)
    )
    return [
        Part("generator", generator, (codes, generator.stored_noise()), core=True),
        Part("e4e", inverter, (aligned,)),
        Part("IR-SE50", recogniser, (face,), passes=2),
        Part("FaRL", attributes, (small,), passes=3),
        Part("optimisation step", step, (codes, identity, tokens), passes=steps),
    ]
