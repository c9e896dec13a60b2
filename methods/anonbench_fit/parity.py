"""FIT's generator and SphereFace-20a behind the parity runner."""

from anonbench.nets.sphereface import SphereFace20a
from anonbench.nets.state import load_state
from anonbench.testing.parity import Inputs, Outputs, States, signed, unit
from anonbench_fit.networks import Generator, password_bits, password_code


def run(states: States, inputs: Inputs) -> Outputs:
    """All stored outputs: images under passwords, features and logits of faces."""
    return {**_generator(states, inputs), **_recogniser(states, inputs)}


def _generator(states: States, inputs: Inputs) -> Outputs:
    net = Generator().eval()
    load_state(net, states["G"], source="The layout of fit")
    images, bits = signed(inputs["images"]), password_bits(inputs["password"])
    code = password_code(bits)
    anonymised = net(images, code)
    return {
        "anonymised": anonymised,
        "recovered": net(anonymised, password_code(~bits)),
        "wrong_recovered": net(anonymised, password_code(password_bits(inputs["wrong_password"]))),
        "anonymised_quarter": net(images, password_code(bits, "one_fourth")),
        "anonymised_single": net(images[:1], code[:1]),
        "anonymised256": net(signed(inputs["image256"]), code[:1]),
    }


def _recogniser(states: States, inputs: Inputs) -> Outputs:
    net = SphereFace20a().eval()
    load_state(net, states["sphere20a"], source="The layout of fit")
    features = net(unit(inputs["faces112x96"].flip(1)))  # the fixtures are BGR
    logits = net.classify(features)
    return {
        "sphere_feature": features,
        "sphere_cos": logits.cosine,
        "sphere_phi": logits.margin,
    }
