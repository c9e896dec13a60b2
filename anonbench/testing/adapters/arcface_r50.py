"""ArcFace IResNet-50 behind the parity runner."""

from torch import Tensor
from torch.nn.functional import cosine_similarity

from anonbench.nets.iresnet import IResNet, nearest_input
from anonbench.nets.state import load_state
from anonbench.testing.parity import Inputs, Outputs, States, unit


def run(states: States, inputs: Inputs) -> Outputs:
    """Embeddings of crops, of mirrored crops and of 256-px images shrunk as G2Face does."""
    net = IResNet(50).eval()
    load_state(net, states["backbone"], source="The layout of arcface_r50")
    outputs: dict[str, Tensor] = {}
    if "images112" in inputs:
        crops = unit(inputs["images112"])
        embedding = net(crops)
        outputs["embedding112"] = embedding
        outputs["embedding112_flip"] = net(crops.flip(3))
        outputs["cosine"] = cosine_similarity(embedding[:1], embedding[1:2])
    if "images256" in inputs:
        outputs["embedding256"] = net(nearest_input(unit(inputs["images256"])))
    return outputs
