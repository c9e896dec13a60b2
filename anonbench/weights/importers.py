"""Checkpoints that users download by hand: checked against their networks, kept as safetensors.

A function here is the `importer` of catalogue entries. It takes the file as its authors publish it
and the path to write. Keys and shapes must be those of the network, which is what `anonbench
parity` proves to compute what the authors' code computes. Nothing in a file is run.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import Tensor, nn

from anonbench.errors import BadData
from anonbench.nets.adaface import AdaFaceIR101
from anonbench.nets.bfm import load_face_model
from anonbench.nets.bisenet import UNUSED as BISENET_UNUSED
from anonbench.nets.bisenet import BiSeNet
from anonbench.nets.d3dfr import D3dfr
from anonbench.nets.deca import Deca
from anonbench.nets.farl import UNUSED as FARL_UNUSED
from anonbench.nets.farl import Farl
from anonbench.nets.hopenet import UNUSED as HOPENET_UNUSED
from anonbench.nets.hopenet import Hopenet
from anonbench.nets.inception_fid import UNUSED as INCEPTION_UNUSED
from anonbench.nets.inception_fid import InceptionFid
from anonbench.nets.inception_resnet_v1 import InceptionResnetV1
from anonbench.nets.ir_se50 import IrSe50
from anonbench.nets.iresnet import IResNet
from anonbench.nets.sphereface import SphereFace20a
from anonbench.nets.state import load_state
from anonbench.nets.stylegan2 import Generator, Sizes
from anonbench.nets.stylegan2_files import MEAN, from_genforce, require_size
from anonbench.weights.convert import read_torch_checkpoint, save


def arcface_r50(source: Path, target: Path) -> None:
    """`ms1mv3_arcface_r50.pth`: the state dict of `anonbench.nets.iresnet.IResNet(50)`.

    Raises:
        BadData: It is another file; keys and shapes that differ are listed.
    """
    _convert(lambda: IResNet(50), read_torch_checkpoint(source), source, target)


def arcface_r100(source: Path, target: Path) -> None:
    """`backbone.pth` of a 100-layer model: the state dict of `IResNet(100)`.

    Raises:
        BadData: It is another file; keys and shapes that differ are listed.
    """
    _convert(lambda: IResNet(100), read_torch_checkpoint(source), source, target)


def adaface_ir101(source: Path, target: Path) -> None:
    """`adaface_ir101_*.ckpt`: in its entry `state_dict`, `model` is that of `AdaFaceIR101`.

    Raises:
        BadData: It is another file; keys and shapes that differ are listed.
    """
    everything = entry(read_torch_checkpoint(source), "state_dict", source)
    _convert(AdaFaceIR101, entry(everything, "model", source), source, target)


def facenet_vggface2(source: Path, target: Path) -> None:
    """`20180402-114759-vggface2.pt`: the state dict of `InceptionResnetV1` with 8,631 classes.

    Raises:
        BadData: It is another file; keys and shapes that differ are listed.
    """
    _convert(lambda: InceptionResnetV1(classes=8631), read_torch_checkpoint(source), source, target)


def facenet_casia(source: Path, target: Path) -> None:
    """`20180408-102900-casia-webface.pt`: the same with 10,575 classes.

    Raises:
        BadData: It is another file; keys and shapes that differ are listed.
    """
    _convert(
        lambda: InceptionResnetV1(classes=10575), read_torch_checkpoint(source), source, target
    )


def d3dfr(source: Path, target: Path) -> None:
    """`epoch_20.pth`: its entry `net_recon` is the state dict of `anonbench.nets.d3dfr.D3dfr`.

    Raises:
        BadData: It is another file; keys and shapes that differ are listed.
    """
    _convert(D3dfr, entry(read_torch_checkpoint(source), "net_recon", source), source, target)


def deca(source: Path, target: Path) -> None:
    """`deca_model.tar`: its entry `E_flame` is the state dict of `anonbench.nets.deca.Deca`.

    Raises:
        BadData: It is another file; keys and shapes that differ are listed.
    """
    _convert(Deca, entry(read_torch_checkpoint(source), "E_flame", source), source, target)


def hopenet(source: Path, target: Path) -> None:
    """`hopenet_robust_alpha1.pkl`: the state dict of `anonbench.nets.hopenet.Hopenet`.

    The files of alpha 1 and alpha 2, which validate the paper's tables, have the same layout.

    Raises:
        BadData: It is another file; keys and shapes that differ are listed.
    """
    state = read_torch_checkpoint(source)
    _convert(Hopenet, state, source, target, unused=HOPENET_UNUSED)


def inception_fid(source: Path, target: Path) -> None:
    """`pt_inception-2015-12-05-6726825d.pth`: the state dict of `InceptionFid` and a classifier.

    Raises:
        BadData: It is another file; keys and shapes that differ are listed.
    """
    state = read_torch_checkpoint(source)
    _convert(InceptionFid, state, source, target, unused=INCEPTION_UNUSED)


def stylegan2_ffhq_256(source: Path, target: Path) -> None:
    """`550000.pt`: its entry `g_ema` is the state dict of `anonbench.nets.stylegan2.Generator`.

    Raises:
        BadData: It is another file; keys and shapes that differ are listed.
    """
    state = entry(read_torch_checkpoint(source), "g_ema", source)
    require_size(state, Sizes(), source)
    _convert(lambda: Generator(Sizes()), state, source, target)


def stylegan2_ffhq_1024(source: Path, target: Path) -> None:
    """`stylegan2_ffhq1024.pth` of genforce, or rosinality's `stylegan2-ffhq-config-f.pt`.

    What is kept is the state dict of `Generator(Sizes(1024))` and the mean style, `latent_avg`.

    Raises:
        BadData: It is another file; keys and shapes that differ are listed.
    """
    sizes = Sizes(1024)
    state = stylegan2_state(read_torch_checkpoint(source), source)
    require_size(state, sizes, source)
    mean = state.pop(MEAN, None)
    if mean is None or mean.shape != (sizes.style,):
        raise BadData(f"{source} has no mean style of {sizes.style} numbers ({MEAN}).")
    with torch.device("meta"):
        net = Generator(sizes)
    load_state(net, state, source=str(source), assign=True)
    save({**net.state_dict(), MEAN: mean}, target)


def stylegan2_state(tensors: Mapping[str, Tensor], source: Path) -> dict[str, Tensor]:
    """The averaged generator of a StyleGAN2 by rosinality or genforce, and `latent_avg`.

    Raises:
        BadData: It is neither's.
    """
    tops = {key.partition(".")[0] for key in tensors}
    if "g_ema" in tops:
        beside = {MEAN: tensors[MEAN]} if MEAN in tensors else {}
        return entry(tensors, "g_ema", source) | beside
    named = next((name for name in ("generator_smooth", "generator") if name in tops), None)
    if named is None:
        raise BadData(
            f"{source} has no generator of StyleGAN2: neither 'g_ema' (rosinality) nor "
            "'generator_smooth' (genforce).",
            why=f"Its entries: {', '.join(sorted(tops)[:8])}.",
        )
    return from_genforce(entry(tensors, named, source))


def farl(source: Path, target: Path) -> None:
    """`FaRL-Base-Patch16-LAIONFace20M-ep64.pth`: of its entry `state_dict`, the image encoder.

    Raises:
        BadData: It is another file; keys and shapes that differ are listed.
    """
    everything = entry(read_torch_checkpoint(source), "state_dict", source)
    image = {
        key.removeprefix("visual."): value
        for key, value in everything.items()
        if not any(fnmatchcase(key, pattern) for pattern in FARL_UNUSED)
    }
    _convert(Farl, image, source, target)


def ir_se50(source: Path, target: Path) -> None:
    """`model_ir_se50.pth`: the state dict of `anonbench.nets.ir_se50.IrSe50`.

    Raises:
        BadData: It is another file; keys and shapes that differ are listed.
    """
    _convert(IrSe50, read_torch_checkpoint(source), source, target)


def sphereface_20a(source: Path, target: Path) -> None:
    """`sphere20a_20171020.pth`: the state dict of `anonbench.nets.sphereface.SphereFace20a`.

    Raises:
        BadData: It is another file; keys and shapes that differ are listed.
    """
    _convert(SphereFace20a, read_torch_checkpoint(source), source, target)


def bisenet(source: Path, target: Path) -> None:
    """`79999_iter.pth`: the state dict of `BiSeNet` and of outputs that only its training needs.

    Raises:
        BadData: It is another file; keys and shapes that differ are listed.
    """
    _convert(BiSeNet, read_torch_checkpoint(source), source, target, unused=BISENET_UNUSED)


def bfm09_front(source: Path, target: Path) -> None:
    """`BFM_model_front.mat`, kept as it is where `anonbench.nets.bfm` can read it.

    Raises:
        BadData: It is no MATLAB file, or lacks arrays.
    """
    load_face_model(source)
    shutil.copyfile(source, target)


def entry(tensors: Mapping[str, Tensor], name: str, source: Path) -> dict[str, Tensor]:
    """The tensors of one entry of a checkpoint, by their keys inside it.

    Raises:
        BadData: There is no such entry.
    """
    found = {
        key.removeprefix(f"{name}."): value
        for key, value in tensors.items()
        if key.startswith(f"{name}.")
    }
    if not found:
        tops = sorted({key.partition(".")[0] for key in tensors})
        raise BadData(
            f"{source} has no entry '{name}'.", why=f"Its entries: {', '.join(tops[:8])}."
        )
    return found


def _convert(
    build: Callable[[], nn.Module],
    state: Mapping[str, Tensor],
    source: Path,
    target: Path,
    *,
    unused: Sequence[str] = (),
) -> None:
    """Keep a state dict that has the keys and shapes of a network, without what is unused."""
    with torch.device("meta"):
        net = build()
    load_state(net, state, source=str(source), unused=unused, assign=True)
    save(net.state_dict(), target)
