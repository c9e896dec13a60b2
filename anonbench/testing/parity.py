"""Does a network compute exactly what its authors' code computes? `anonbench parity DIR`.

A folder of parity fixtures holds two files for each model: `MODEL.json`, the layout of the
official checkpoint (keys, shapes, fill rules, the seed) with a description of the fixtures, and
`MODEL.npz`, inputs (`in.NAME`) with the outputs (`out.NAME`) that the original code gave for
them. The weights are rebuilt from the layout by `anonbench.testing.fill`.

The network of the suite comes in through an adapter, a function registered in the entry-point
group `anonbench.parity` under the model's name:

    [project.entry-points."anonbench.parity"]
    arcface_r50 = "anonbench.testing.adapters.arcface_r50:run"

It gets the filled state dicts by network name and the inputs by name (without `in.`; tensors as
stored, so images are uint8 NCHW) and returns outputs by name (without `out.`), whole: the runner
takes the stored excerpt. It runs without gradients, on the CPU:

    def run(states: States, inputs: Inputs) -> Outputs:
        net = IResNet().eval()
        load_state(net, states["backbone"])
        return {"embedding112": net(signed(inputs["images112"]))}

State dicts are filled when they are asked for; an adapter that needs one network pays for one.
Outputs that the fixtures do not have are ignored, outputs that the adapter leaves out are misses.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

States = Mapping[str, dict[str, Tensor]]
Inputs = Mapping[str, Tensor]
Outputs = Mapping[str, Tensor]
Adapter = Callable[[States, Inputs], Outputs]

GROUP = "anonbench.parity"


def unit(images: Tensor) -> Tensor:
    """uint8 images as float32 in `[0, 1]`."""
    return images.to(torch.float32) / 255


def signed(images: Tensor) -> Tensor:
    """uint8 images as float32 in `[-1, 1]`, in the two steps that the original pipelines take."""
    return (unit(images) - 0.5) / 0.5
