"""The networks of G²Face as a table of complexity lists them; nobody's weights are fetched.

Table VII of the article counts the decoder with its face encoder, masks and injectors. The other
networks run, too.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from anonbench.nets import dlib_resnet, iresnet
from anonbench.nets.d3dfr import D3dfr
from anonbench.nets.dlib_resnet import DlibFaceResNet
from anonbench.nets.float_bits import WIDTH
from anonbench.nets.fusion import Architecture
from anonbench.nets.iresnet import IResNet
from anonbench.nets.stylegan2 import draw_noise
from anonbench.values import Part
from anonbench_g2face.checkpoints import demo_model, read_bundle
from anonbench_g2face.networks import G2FaceNetworks


def inventory(checkpoint: str, own: str) -> list[Part]:
    """Every network that anonymizing and recovering run, each as it sees one image.

    Args:
        checkpoint: `official` or `demo`.
        own: Path of a bundle, whose networks need not be built as the checkpoint's; or empty.

    Raises:
        BadData: The file is no bundle, or does not fit.
    """
    path = Path(own) if own else None
    return _official(path) if checkpoint == "official" else _demo(path)


def _official(own: Path | None) -> list[Part]:
    networks = read_bundle(own)[0] if own else G2FaceNetworks()
    parts = [
        *_trained(networks, rendered=False),
        _frozen("ArcFace r50", IResNet(50), _image(iresnet.SIZE)),
    ]
    if networks.architecture.geometry:
        parts.append(_frozen("D3DFR", D3dfr(), _image(networks.architecture.sizes.image)))
    return parts


def _demo(own: Path | None) -> list[Part]:
    recogniser = DlibFaceResNet((0.0, 0.0, 0.0))
    model = demo_model(own, recogniser)
    architecture = model.networks.architecture
    images, identity = _image(architecture.sizes.image), torch.randn(1, architecture.identity)
    parts = [
        *_trained(model.networks, rendered=True),
        _frozen("dlib ResNet", recogniser, _image(dlib_resnet.SIZE)),
    ]
    if architecture.geometry and isinstance(model.geometry, nn.Module):
        parts.append(_frozen("landmark model", model.geometry, images))
    if isinstance(model.render, nn.Module):
        parts.append(_frozen("appearance model", model.render, identity, images))
    return parts


def _trained(networks: G2FaceNetworks, *, rendered: bool) -> list[Part]:
    """G²Face's own; `rendered` where the decoder also sees a face that a prior drew."""
    architecture = networks.architecture
    images = _image(architecture.sizes.image)
    identity = torch.randn(1, architecture.identity)
    geometry = torch.randn(1, architecture.geometry)
    decoder = (*_decoded(architecture, images), images if rendered else None)
    return [
        Part("decoder, encoder, masks", networks.anonymous_net, decoder, core=True),
        Part("style mappers", networks.style_mlp, (identity, geometry)),
        Part("dummy identity", networks.map_2_id, (identity,)),
        Part("password extractor", networks.hiding_extractor, (images,)),
    ]


def _decoded(
    architecture: Architecture, images: Tensor
) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
    """Image, latents, password and noise."""
    sizes = architecture.sizes
    latents = torch.randn(1, sizes.latents, sizes.style)
    bits = torch.rand(1, architecture.identity, WIDTH) > 0.5
    return images, latents, bits, draw_noise(sizes, [torch.default_generator])


def _frozen(name: str, module: nn.Module, *inputs: Tensor) -> Part:
    return Part(name, module.requires_grad_(False), inputs)


def _image(side: int) -> Tensor:
    return torch.rand(1, 3, side, side)
