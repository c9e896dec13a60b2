"""Networks as a share of what their convolutions and matrix products take on their own.

Weights are random: they decide no time. `plain.py` says what the yardstick is. What ONNX Runtime
runs is compared with ONNX Runtime alone, dlib's network also with dlib.

Run: python tests/bench/run.py --only networks
or, for some networks over batch sizes: python tests/bench/bench_networks.py NAME[,NAME] 1,8,64
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import dlib
import numpy as np
import onnxruntime
import torch
from harness import Options, Row, header, markdown, rival
from plain import plain
from torch import Tensor, nn

from anonbench import registry, weights
from anonbench.data.align import template
from anonbench.nets.adaface import AdaFaceIR101
from anonbench.nets.d3dfr import D3dfr
from anonbench.nets.deca import Deca
from anonbench.nets.dlib_resnet import DlibFaceResNet
from anonbench.nets.farl import Farl
from anonbench.nets.folding import fold_norms
from anonbench.nets.fusion import Architecture, FusionDecoder, PasswordExtractor
from anonbench.nets.hopenet import Hopenet
from anonbench.nets.inception_fid import InceptionFid
from anonbench.nets.inception_resnet_v1 import InceptionResnetV1
from anonbench.nets.iresnet import IResNet
from anonbench.nets.lpips import Lpips
from anonbench.nets.stylegan2 import Generator, Sizes, draw_noise

SIZES = Sizes()
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
ONNX = ("fr-feature", "fr-pose", "fsanet")
Inputs = Callable[[int], tuple[object, ...]]


class Case(NamedTuple):
    """A network as the suite runs it, what it is given, and the batch of the table."""

    build: Callable[[], nn.Module]
    inputs: Inputs
    batch: int = 32


def folded(build: Callable[[], nn.Module]) -> nn.Module:
    """As judges and the methods' extractors are prepared."""
    net = build().eval()
    fold_norms(net)
    return net.to(memory_format=torch.channels_last)


def crops(side: int, batch: int) -> tuple[Tensor, ...]:
    """As the engine makes them of pixels: channels side by side."""
    return (torch.rand(batch, side, side, 3).permute(0, 3, 1, 2),)


def pairs(batch: int) -> tuple[Tensor, ...]:
    return (*crops(256, batch), *crops(256, batch))


def styles(batch: int) -> tuple[object, ...]:
    noise = draw_noise(SIZES, [torch.Generator().manual_seed(i) for i in range(batch)])
    return torch.randn(batch, SIZES.latents, SIZES.style), noise


def fusion(batch: int) -> tuple[object, ...]:
    latents, noise = styles(batch)
    bits = torch.rand(batch, 512, 32) < 0.5
    return torch.rand(batch, 3, 256, 256) * 2 - 1, latents, bits, noise


def _of_crops(build: Callable[[], nn.Module], side: int, batch: int = 32) -> Case:
    return Case(partial(folded, build), partial(crops, side), batch)


CASES = {
    "stylegan2 decoder": Case(lambda: Generator(SIZES).eval(), styles, 2),
    "g2face decoder": Case(lambda: FusionDecoder(Architecture()).eval(), fusion, 2),
    "password extractor": _of_crops(PasswordExtractor, 256, 2),
    "dlib-resnet": _of_crops(partial(DlibFaceResNet, (122.0, 117.0, 104.0)), 150),
    "facenet": _of_crops(InceptionResnetV1, 160),
    "arcface-r50": _of_crops(partial(IResNet, 50), 112),
    "arcface-r100": _of_crops(partial(IResNet, 100), 112, 16),
    "adaface": _of_crops(AdaFaceIR101, 112, 16),
    "hopenet": _of_crops(Hopenet, 224, 16),
    "d3dfr": _of_crops(D3dfr, 224, 16),
    "deca": _of_crops(Deca, 224, 16),
    "lpips-alex": Case(partial(folded, partial(Lpips, "alex")), pairs, 8),
    "lpips-vgg": Case(partial(folded, partial(Lpips, "vgg")), pairs, 2),
    "inception-fid": _of_crops(InceptionFid, 256, 8),
    "farl": Case(lambda: Farl().eval(), partial(crops, 224), 8),
}


def rows(options: Options) -> Iterator[Row]:
    for name, case in CASES.items():
        yield from network_rows(name, case, [1 if options.quick else case.batch], options)
    for name in ONNX:
        yield onnx_row(name, options)
    yield dlib_row(options)


def network_rows(name: str, case: Case, batches: list[int], options: Options) -> Iterator[Row]:
    net = case.build().requires_grad_(False)
    for precision, dtype in DTYPES.items():
        for batch in batches:
            inputs = case.inputs(batch)
            run = partial(net, *inputs)
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                yardstick = plain(run, dtype)
                with torch.inference_mode():
                    own, reference = rival(run, yardstick.replay, options.turns)
            yield Row(
                name,
                batch / own,
                "images/s",
                "plain convolutions",
                batch / reference,
                batch,
                precision,
            )


def onnx_row(name: str, options: Options) -> Row:
    """A judge beside the sessions of its files, image by image, on all threads."""
    card = registry.judges.card(name)
    ours = registry.judges.load(name)(card, "cpu")
    (images,) = crops(template(card.template).size, 8)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    opened = [
        onnxruntime.InferenceSession(str(weights.path(file)), settings) for file in card.weights
    ]
    arrays = np.ascontiguousarray(images.numpy())

    def alone() -> None:
        for session in opened:
            for array in arrays:
                session.run(None, {session.get_inputs()[0].name: array[None]})

    run = ours.embed if card.kind == "recognition" else ours.describe
    with torch.inference_mode():
        own, reference = rival(lambda: run(images), alone, options.turns)
    rate = len(images) / reference
    return Row(name, len(images) / own, "images/s", "ONNX Runtime alone", rate, 8, "fp32")


def dlib_row(options: Options) -> Row:
    """dlib's recogniser beside dlib itself, which has one thread on CPUs."""
    card = registry.judges.card("dlib-resnet")
    ours = registry.judges.load("dlib-resnet")(card, "cpu")
    theirs = dlib.face_recognition_model_v1(str(weights.path("dlib-resnet")))
    chips = list(np.random.default_rng(0).integers(0, 256, (32, 150, 150, 3), dtype=np.uint8))
    images = torch.from_numpy(np.stack(chips)).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        own, reference = rival(
            lambda: ours.embed(images),
            lambda: theirs.compute_face_descriptor(chips),
            options.turns,
        )
    return Row("dlib-resnet", 32 / own, "images/s", "dlib, 1 thread", 32 / reference, 32, "fp32")


def main() -> None:
    """Some networks over batch sizes."""
    options = Options(torch.get_num_threads())
    batches = [int(batch) for batch in sys.argv[2].split(",")]
    print(f"{header(options)}\n\n{markdown([])}")
    for name in sys.argv[1].split(","):
        for row in network_rows(name, CASES[name], batches, options):
            print(markdown([row]).splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
