"""LPIPS 0.1 behind the parity runner."""

from collections.abc import Mapping

from torch import Tensor

from anonbench.nets.lpips import Lpips, Trunk
from anonbench.nets.state import load_state
from anonbench.testing.parity import Inputs, Outputs, States, signed

_TRUNKS: dict[Trunk, str] = {"alex": "alexnet", "vgg": "vgg16"}


def run(states: States, inputs: Inputs) -> Outputs:
    """Distances of pairs of images with both trunks, and what each layer adds to them."""
    outputs: dict[str, Tensor] = {}
    for net, name in _TRUNKS.items():
        model = Lpips(net)
        load_state(model, _state(model, states[name], net, inputs), source="The layout of lpips")
        a, b = (model.features(signed(inputs[f"images_{side}"])) for side in "ab")
        outputs[f"{net}_distance"] = model.distance(a, b)
        outputs[f"{net}_per_layer"] = model.layers(a, b)
    return outputs


def _state(
    model: Lpips, trunk: Mapping[str, Tensor], net: Trunk, inputs: Inputs
) -> dict[str, Tensor]:
    """The trunk as torchvision orders it, which is our order, and the package's linear heads."""
    keys = [key for key in model.state_dict() if key.startswith("trunk.")]
    heads = range(len(model.heads))
    return {
        **dict(zip(keys, trunk.values(), strict=True)),
        **{f"heads.{i}.weight": inputs[f"{net}.lin{i}.model.1.weight"] for i in heads},
    }
