"""The networks of a generative method as a table of complexity lists them, without weights."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from anonbench.generative.bundle import N
from anonbench.generative.models import Model
from anonbench.nets import dlib_resnet, iresnet
from anonbench.nets.d3dfr import D3dfr
from anonbench.nets.dlib_resnet import DlibFaceResNet
from anonbench.nets.float_bits import WIDTH
from anonbench.nets.fusion import FusionNetworks
from anonbench.nets.iresnet import IResNet
from anonbench.nets.stylegan2 import draw_noise
from anonbench.values import Part


def unweighted_dlib() -> DlibFaceResNet:
    """Dlib's recogniser without its weights."""
    return DlibFaceResNet((0.0, 0.0, 0.0))


def with_official_priors(networks: FusionNetworks, others: Sequence[Part]) -> list[Part]:
    """Every network that runs beside ArcFace and D3DFR, each as it sees one image.

    Args:
        networks: The method's.
        others: What else the method has of its own.
    """
    parts = [
        *_trained(networks, rendered=False),
        *others,
        _frozen("ArcFace r50", IResNet(50), _image(iresnet.SIZE)),
    ]
    if networks.architecture.geometry:
        parts.append(_frozen("D3DFR", D3dfr(), _image(networks.architecture.sizes.image)))
    return parts


def with_demo_priors(
    model: Model[N], recogniser: DlibFaceResNet, others: Sequence[Part]
) -> list[Part]:
    """Every network that runs beside the demo's priors, each as it sees one image.

    Args:
        model: Networks and priors.
        recogniser: The one that the model was built with.
        others: What else the method has of its own.
    """
    architecture = model.networks.architecture
    images, identity = _image(architecture.sizes.image), torch.randn(1, architecture.identity)
    parts = [
        *_trained(model.networks, rendered=True),
        *others,
        _frozen("dlib ResNet", recogniser, _image(dlib_resnet.SIZE)),
    ]
    if architecture.geometry and isinstance(model.geometry, nn.Module):
        parts.append(_frozen("landmark model", model.geometry, images))
    if isinstance(model.render, nn.Module):
        parts.append(_frozen("appearance model", model.render, identity, images))
    return parts


def _trained(networks: FusionNetworks, *, rendered: bool) -> list[Part]:
    """What all methods train; `rendered` where the decoder also sees a face that a prior drew."""
    architecture = networks.architecture
    images = _image(architecture.sizes.image)
    identity = torch.randn(1, architecture.identity)
    geometry = torch.randn(1, architecture.geometry)
    sizes = architecture.sizes
    latents = torch.randn(1, sizes.latents, sizes.style)
    bits = torch.rand(1, architecture.identity, WIDTH) > 0.5
    noise = draw_noise(sizes, [torch.default_generator])
    decoder = (images, latents, bits, noise, images if rendered else None)
    return [
        Part("decoder, encoder, masks", networks.anonymous_net, decoder, core=True),
        Part("style mappers", networks.style_mlp, (identity, geometry)),
        Part("password extractor", networks.hiding_extractor, (images,)),
    ]


def _frozen(name: str, module: nn.Module, *inputs: Tensor) -> Part:
    return Part(name, module.requires_grad_(False), inputs)


def _image(side: int) -> Tensor:
    return torch.rand(1, 3, side, side)
