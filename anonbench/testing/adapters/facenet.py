"""FaceNet's Inception-ResNet-v1 behind the parity runner."""

from torch import Tensor

from anonbench.nets.inception_resnet_v1 import InceptionResnetV1
from anonbench.nets.state import load_state
from anonbench.testing.parity import Inputs, Outputs, States, unit


def run(states: States, inputs: Inputs) -> Outputs:
    """Embeddings and logits of 160-px crops, and the embedding of a crop of another size."""
    state = states["net"]
    net = InceptionResnetV1(classes=len(state["logits.bias"])).eval()
    load_state(net, state, source="The layout of facenet")
    outputs: dict[str, Tensor] = {}
    if "images" in inputs:
        crops = unit(inputs["images"])
        outputs["embedding"] = net(crops)
        outputs["logits"] = net.classify(crops)
    if "image182" in inputs:
        outputs["embedding182"] = net(unit(inputs["image182"]))
    return outputs
