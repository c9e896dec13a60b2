"""RiDDLE's encryptor, e4e's encoder and IR-SE50 behind the parity runner."""

import torch

from anonbench.nets.e4e import E4e
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
    with torch.device("meta"):  # its 840 MB of weights are in memory once, as they were filled
        net = E4e().eval()
    net.load_state_dict(states["e4e_encoder"], assign=True)
    codes = net(unit(inputs["images"]))
    return {"e4e_codes": codes, "e4e_wplus": codes[:1] + inputs["latent_avg"]}


def _recogniser(states: States, inputs: Inputs) -> Outputs:
    net = IrSe50().eval()
    load_state(net, states["ir_se50"], source=_SOURCE)
    return {
        "ir_se50_112": net(unit(inputs["faces112"])),
        "id_feature_256": net(face_region(unit(inputs["images"]))),
    }
