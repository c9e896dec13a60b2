"""RiDDLE's encryptor, e4e's encoder and IR-SE50 behind the parity runner."""

from anonbench.nets.e4e import Inverter
from anonbench.nets.ir_se50 import IrSe50, face_region
from anonbench.nets.state import load_state
from anonbench.testing.parity import Inputs, Outputs, States, unit
from anonbench_riddle.networks import LatentEncryptor

_SOURCE = "The layout of riddle"


def run(states: States, inputs: Inputs) -> Outputs:
    """All stored outputs, one network after the other, so that one is in memory at a time."""
    return {**_encryptor(states, inputs), **_encoder(states, inputs), **_recogniser(states, inputs)}


def _encryptor(states: States, inputs: Inputs) -> Outputs:
    net = LatentEncryptor().eval()
    load_state(net, states["mapper"], source=_SOURCE)
    password, wrong = inputs["password_w"][:, 0], inputs["wrong_password_w"][:, 0]
    encrypted = net(inputs["w"], password)
    return {
        "encrypted": encrypted,
        "decrypted": net(encrypted, password),
        "wrong_decrypted": net(encrypted, wrong),
    }


def _encoder(states: States, inputs: Inputs) -> Outputs:
    encoder = {f"encoder.{key}": value for key, value in states["e4e_encoder"].items()}
    state = encoder | {"latent_avg": inputs["latent_avg"]}
    net, images = Inverter.of_state(state, _SOURCE), unit(inputs["images"])
    return {"e4e_codes": net.encoder(images), "e4e_wplus": net(images[:1])}


def _recogniser(states: States, inputs: Inputs) -> Outputs:
    net = IrSe50().eval()
    load_state(net, states["ir_se50"], source=_SOURCE)
    return {
        "ir_se50_112": net(unit(inputs["faces112"])),
        "id_feature_256": net(face_region(unit(inputs["images"]))),
    }
