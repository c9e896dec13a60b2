"""G²Face behind the parity runner, with the quirks of its authors' float converter."""

import numpy as np
import torch
from torch import Tensor

from anonbench.generative.priors import geometry_of
from anonbench.nets.float_bits import (
    bits_to_floats,
    floats_to_bits,
    logits_to_bits,
    suppress_implausible,
)
from anonbench.nets.state import load_state
from anonbench.nets.stylegan2 import Discriminator, Sizes
from anonbench.testing.parity import Inputs, Outputs, States, signed
from anonbench_g2face.networks import G2FaceNetworks

# What the authors' converter can encode: exponents (powers of two) from -104 to 8.
_LEAST_EXPONENT, _MOST_EXPONENT = -104, 8
_NOT_ENCODED = 255


def run(states: States, inputs: Inputs) -> Outputs:
    """All stored outputs: the networks one by one, the whole chain, the float converter."""
    nets = G2FaceNetworks().eval()
    nets.load({name: states[name] for name, _ in nets.named_children()}, source="The layout")
    return {
        **_generator(nets, inputs),
        **_chain(nets, inputs),
        **_discriminator(states, inputs),
        **_converter(inputs),
    }


def _generator(nets: G2FaceNetworks, inputs: Inputs) -> Outputs:
    images, wplus, bits = signed(inputs["images"]), inputs["wplus"], inputs["bits"]
    both = nets.anonymous_net(images, wplus, bits, None)
    repeated = nets.anonymous_net(images[:1], wplus[:1, 0], bits[:1], None)
    return {
        "generator_image0": both[:1],
        "generator_image1": both[1:],
        "generator_image_w": repeated,
    }


def _chain(nets: G2FaceNetworks, inputs: Inputs) -> Outputs:
    images, bits = signed(inputs["images"]), floats_to_bits(inputs["e_id"])
    dummy = nets.map_2_id(inputs["z"])
    wplus = nets.style_mlp(dummy, geometry_of(inputs["coeff"]))
    anonymised = nets.anonymous_net(images, wplus, bits, None)
    logits = nets.hiding_extractor(anonymised)
    extracted = logits_to_bits(logits)
    identity = suppress_implausible(_decoded_by_authors(extracted))
    back = nets.style_mlp(identity, geometry_of(inputs["coeff_anonymised"]))
    recovered = nets.anonymous_net(anonymised, back, bits, None)
    return {
        "dummy_id": dummy,
        "wplus_anonymise": wplus[:, [0, 5, 6, 11, 12, 13]],
        "chain_anonymised0": anonymised[:1],
        "chain_anonymised1": anonymised[1:],
        "chain_logits": logits,
        "chain_bits_packed": torch.from_numpy(np.packbits(extracted.numpy(), axis=-1)),
        "chain_e_hat": identity,
        "chain_wplus_recover": back[:, [0, 6, 12]],
        "chain_recovered0": recovered[:1],
        "chain_recovered1": recovered[1:],
    }


def _discriminator(states: States, inputs: Inputs) -> Outputs:
    net = Discriminator(Sizes()).eval()
    load_state(net, states["discriminator"])
    images = signed(inputs["discriminator_images"])
    return {
        "discriminator_logits": net(images),
        "discriminator_logits_pair": net(images[:2]),
        "discriminator_logits_single": net(images[:1]),
    }


def _converter(inputs: Inputs) -> Outputs:
    """The authors' conversions, expressed by ours on the values that theirs really encode."""
    floats, code = inputs["floats"], inputs["code_bits"]
    encoded, possible = _encoded_by_authors(floats)
    bits = torch.where(possible[:, None], floats_to_bits(encoded).to(torch.uint8), _NOT_ENCODED)
    decoded = _decoded_by_authors(code)
    return {
        "floats_status": (~possible).to(torch.uint8),
        "floats_bits": bits,
        "floats_ieee_equal": (bits == floats_to_bits(floats)).all(dim=1).to(torch.uint8),
        "code_floats": decoded,
        "code_floats_guarded": suppress_implausible(decoded),
        "tie_bits": logits_to_bits(inputs["tie_logits"]).to(torch.uint8),
    }


def _encoded_by_authors(floats: Tensor) -> tuple[Tensor, Tensor]:
    """The values whose bits the authors' converter gives, and whether it gives any.

    It finds the exponent by a logarithm, whose rounding doubles some values just below a power of
    two, cuts the mantissa off, takes zero for 1e-8, and fails beyond its range of exponents.
    """
    floats = torch.where(floats == 0, 1e-8, floats)
    exponent = floats.abs().log2().floor()
    possible = (exponent >= _LEAST_EXPONENT) & (exponent <= _MOST_EXPONENT)
    mantissa = torch.floor((floats.abs() / torch.exp2(exponent)).frac() * 2**23) / 2**23
    return torch.copysign((1 + mantissa) * torch.exp2(exponent), floats), possible


def _decoded_by_authors(bits: Tensor) -> Tensor:
    """Ours, except that the authors treat exponents 0 and 255 like any other."""
    weights = torch.exp2(torch.arange(7, -24, -1, dtype=torch.float64))
    exponent = bits[..., 1:9].double() @ weights[:8]
    mantissa = 1 + bits[..., 9:].double() @ weights[8:]
    values = (1 - 2 * bits[..., 0].double()) * mantissa * torch.exp2(exponent - 127)
    ordinary = (exponent > 0) & (exponent < 255)
    return torch.where(ordinary, bits_to_floats(bits, "raw"), values.float())
