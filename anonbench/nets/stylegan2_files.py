"""StyleGAN2's published checkpoints: into the layout of `anonbench.nets.stylegan2`, and loaded.

rosinality/stylegan2-pytorch's files have that layout. genforce/genforce's, which FALCO uses, are
NVIDIA's official networks under other names, and differ in what is said here:

- Its convolutions that double the size turn their kernels by 180 degrees before they transpose,
  rosinality's do not: the kernels are stored turned.
- Its styles add one to the stored bias, rosinality's biases have it.
- Its strength of noise is a number, rosinality's a vector of one; each layer holds its own noise.
- The mean style is `truncation.w_avg`; rosinality's files have it outside the network.

Both scale their weights at run time, and by the same factors.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from anonbench import weights
from anonbench.errors import BadData
from anonbench.nets.state import load_state
from anonbench.nets.stylegan2 import Generator, Sizes

MEAN = "latent_avg"
"""Key of the mean style beside the network's own, in imported files as in rosinality's."""

Change = Callable[[Tensor], Tensor]


def _as_it_is(value: Tensor) -> Tensor:
    return value


# Parts of a layer: genforce's name, rosinality's, and what the values need. All take tensors of
# any shape, as wrong ones are for `load_state` to tell.
_STYLE: dict[str, tuple[str, Change]] = {
    "weight": ("conv.weight", lambda value: value[None]),
    "style.weight": ("conv.modulation.weight", _as_it_is),
    "style.bias": ("conv.modulation.bias", lambda value: value + 1),
}
_LAYER = _STYLE | {
    "bias": ("activate.bias", _as_it_is),
    "noise_strength": ("noise.weight", lambda value: value.reshape(-1)),
    "filter.kernel": ("conv.blur.kernel", torch.squeeze),
}
_OUTPUT = _STYLE | {"bias": ("bias", lambda value: value.reshape(1, -1, 1, 1))}


def load_generator(artefact: str, sizes: Sizes, device: str = "cpu") -> tuple[Generator, Tensor]:
    """A trained generator for inference, and the mean of its styles.

    Args:
        artefact: Name in the catalogue of a file that has both, such as `stylegan2-ffhq1024`.
        sizes: Of the generator.
        device: Where PyTorch runs it.

    Returns:
        The generator, whose `stored_noise` is the checkpoint's, and the mean style code `[512]`.

    Raises:
        MissingArtefact: It is not in the cache; the message says how to bring it.
        BadData: Its keys or shapes are not the network's.
    """
    file = weights.path(artefact)
    with torch.inference_mode(False):  # or no gradient could ever pass through it
        state = load_file(file)
        mean = state.pop(MEAN)
        with torch.device("meta"):
            net = Generator(sizes)
        load_state(net, state, source=str(file), assign=True)
        return net.to(device).eval().requires_grad_(False), mean.to(device)


def from_genforce(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of a generator of genforce under the keys of `Generator`, and `latent_avg`.

    Args:
        state: Entry `generator_smooth` or `generator` of its checkpoint.

    Returns:
        What could be converted; keys of no generator of genforce stay as they are.
    """
    return dict(pair for key, value in state.items() for pair in _converted(key, value, state))


def require_size(state: Mapping[str, Tensor], sizes: Sizes, source: Path) -> None:
    """That a state dict is a generator's for images of this size.

    Raises:
        BadData: It is one for another size, or none at all.
    """
    levels = {match[1] for match in map(re.compile(r"to_rgbs\.(\d+)\.").match, state) if match}
    found = 4 * 2 ** len(levels)
    if not levels:
        raise BadData(
            f"{source} is no generator of StyleGAN2 for {sizes.image} pixels.",
            why=f"It has entries such as {', '.join(sorted(state)[:3])}.",
        )
    if found != sizes.image:
        raise BadData(
            f"{source} is a StyleGAN2 for {found} pixels, not for {sizes.image}.",
            why=f"It takes {2 * len(levels) + 2} style codes, not {sizes.latents}.",
        )


def _converted(
    key: str, value: Tensor, state: Mapping[str, Tensor]
) -> Iterator[tuple[str, Tensor]]:
    """The entries that one of genforce's becomes."""
    if match := re.fullmatch(r"mapping\.dense(\d+)\.(weight|bias)", key):
        yield f"style.{int(match[1]) + 1}.{match[2]}", value
    elif match := re.fullmatch(r"synthesis\.layer(\d+)\.(.+)", key):
        yield _of_layer(int(match[1]), match[2], value)
    elif match := re.fullmatch(r"synthesis\.output(\d+)\.(.+)", key):
        number, (name, change) = int(match[1]), _OUTPUT.get(match[2], (match[2], _as_it_is))
        yield f"{f'to_rgbs.{number - 1}' if number else 'to_rgb1'}.{name}", change(value)
    elif key == "synthesis.upsample.kernel":  # one for all, where rosinality has one for each
        levels = sum(bool(re.fullmatch(r"synthesis\.output\d+\.bias", other)) for other in state)
        for level in range(levels - 1):
            yield f"to_rgbs.{level}.upsample.kernel", value.squeeze()
    else:
        known = {"synthesis.early_layer.const": "input.input", "truncation.w_avg": MEAN}
        yield known.get(key, key), value


def _of_layer(number: int, part: str, value: Tensor) -> tuple[str, Tensor]:
    """An entry of a convolution; the odd ones double the size."""
    if part == "noise":
        return f"noises.noise_{number}", value
    if part == "weight" and number % 2:
        value = value.flip(tuple(range(2, value.ndim)))
    name, change = _LAYER.get(part, (part, _as_it_is))
    return f"{f'convs.{number - 1}' if number else 'conv1'}.{name}", change(value)
