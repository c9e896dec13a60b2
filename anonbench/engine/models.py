"""Plug-ins as live objects, each built once per process."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from anonbench import registry
from anonbench.cards import ConfigValue, DatasetCard, JudgeCard, MethodCard
from anonbench.errors import BadConfig, UserError
from anonbench.interfaces import (
    Dataset,
    DecodesPassword,
    Describer,
    Detector,
    HidesPassword,
    KeepsLatent,
    Method,
    PerceptualJudge,
    Recogniser,
    Remarking,
    ReversibleMethod,
    TakesWrongBits,
)

if TYPE_CHECKING:
    from torch import nn

_compiled = ContextVar("compiled", default=False)

_Items = tuple[tuple[str, ConfigValue], ...]


@cache
def resolve_device(name: str) -> str:
    """The device that `auto`, `cpu`, `cuda`, `cuda:1` or `mps` means here.

    Raises:
        BadConfig: The device does not exist here; there is no silent fall-back to the CPU.
    """
    if name == "cpu":  # worker processes that only find faces need no torch
        return name
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return str(torch.empty(1, device=name).device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise BadConfig(
            f"The device '{name}' cannot be used here.",
            why=str(error).splitlines()[0],
            mend="Use --device cpu, or leave it out.",
        ) from error


def fastest_precision(device: str) -> Literal["fp32", "bf16"]:
    """`bf16` where the device multiplies such numbers in hardware, by AMX or tensor cores."""
    import torch

    if device.startswith("cuda"):
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    flags = Path("/proc/cpuinfo")
    if device == "cpu" and flags.is_file() and "amx_bf16" in flags.read_text(encoding="utf-8"):
        return "bf16"
    return "fp32"


@contextmanager
def compiling(on: bool) -> Iterator[None]:
    """Plug-ins that are asked for in the block have compiled networks, or have not."""
    token = _compiled.set(on)
    try:
        yield
    finally:
        _compiled.reset(token)


def forbid_tf32(device: str) -> None:
    """Compute in float32 where results say float32; PyTorch's convolutions on CUDA would not."""
    if device.startswith("cuda"):
        import torch

        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False


def method(card: MethodCard, device: str) -> Method:
    """The method that a card describes, with that card's config."""
    return _method(card.name, _items(card.config), device, _compiled.get())


def reversible(card: MethodCard, device: str) -> ReversibleMethod:
    """The same, able to recover; UserError where its class lacks what the card promises."""
    built = method(card, device)
    if not isinstance(built, ReversibleMethod):
        raise _broken_promise(card, "is reversible", "recover")
    return built


def hiding(card: MethodCard, device: str) -> HidesPassword:
    """The same, with hidden bits; UserError where its class lacks what the card promises."""
    built: object = method(card, device)
    if not isinstance(built, HidesPassword):
        raise _broken_promise(card, "hides bits", "hidden_bits and extract_bits")
    return built


def decoding(card: MethodCard, device: str) -> DecodesPassword:
    """The same, with a code of its own; UserError where its class lacks what the card promises."""
    built: object = method(card, device)
    if not isinstance(built, DecodesPassword):
        raise _broken_promise(card, "hides a learned code", "hidden_numbers and decode_bits")
    return built


def remarking(card: MethodCard, device: str) -> Remarking:
    """The method, able to remark; UserError where its class lacks what the card promises."""
    built = method(card, device)
    if not isinstance(built, Remarking):
        raise _broken_promise(card, "makes remarks", "anonymize_with_remarks")
    return built


def keeping(card: MethodCard, device: str) -> KeepsLatent:
    """The method with its latents; UserError where its class lacks what the card promises."""
    built = method(card, device)
    if not isinstance(built, KeepsLatent):
        lacking = "anonymize_with_latent and recover_from_latent"
        raise _broken_promise(card, "needs a latent", lacking)
    return built


def taking_wrong_bits(card: MethodCard, device: str) -> TakesWrongBits:
    """The method with wrong bits; UserError where its class lacks what the card promises."""
    built = method(card, device)
    if not isinstance(built, TakesWrongBits):
        raise _broken_promise(card, "has password bits", "recover_with_wrong_bits")
    return built


def _broken_promise(card: MethodCard, promise: str, lacking: str) -> UserError:
    said = f"The card of the method '{card.name}' says that it {promise}, but it has no {lacking}."
    return misbehaving(card, said)


def misbehaving(card: MethodCard, said: str, why: str = "") -> UserError:
    """What to tell whoever writes a method that breaks a rule."""
    mend = f"Mend the method; see: anonbench test-method {card.name}"
    return UserError(said, why=why, mend=mend)


def detector(card: JudgeCard, device: str = "cpu") -> Detector:
    """The detection judge that a card describes."""
    return cast(Detector, _judge(card.name, _items(card.config), device, _compiled.get()))


def recogniser(card: JudgeCard, device: str) -> Recogniser:
    """The recognition judge that a card describes."""
    return cast(Recogniser, _judge(card.name, _items(card.config), device, _compiled.get()))


def describer(card: JudgeCard, device: str) -> Describer:
    """The describing judge that a card describes."""
    return cast(Describer, _judge(card.name, _items(card.config), device, _compiled.get()))


def perceptual(card: JudgeCard, device: str) -> PerceptualJudge:
    """The perceptual judge that a card describes."""
    return cast(PerceptualJudge, _judge(card.name, _items(card.config), device, _compiled.get()))


def dataset(card: DatasetCard, root: str) -> Dataset:
    """The dataset that a card describes, at its root."""
    return _dataset(card.name, _items(card.config), root)


def _items(config: dict[str, ConfigValue]) -> _Items:
    return tuple(sorted(config.items()))


@cache
def _method(name: str, config: _Items, device: str, compiled: bool) -> Method:
    card, device = registry.methods.card(name).configured(dict(config)), resolve_device(device)
    return cast(Method, tuned(registry.methods.load(name)(card, device), device, compiled))


@cache
def _judge(name: str, config: _Items, device: str, compiled: bool) -> object:
    card = registry.judges.card(name).model_copy(update={"config": dict(config)})
    device = resolve_device(device)
    return tuned(registry.judges.load(name)(card, device), device, compiled)


def tuned(plugin: object, device: str, compiled: bool) -> object:
    """A plug-in with its networks laid out for its device, and compiled at their first call.

    Batches come with their channels last. Tensor cores want weights so, too; on a processor,
    convolutions lay weights out as they like.
    """
    on_gpu = device.startswith("cuda")
    if not (on_gpu or compiled):  # worker processes that only find faces need no torch
        return plugin
    for network in _networks(plugin):
        if on_gpu:
            import torch

            network.to(memory_format=torch.channels_last)
        if compiled:
            network.compile()
    return plugin


def _networks(holder: object) -> "Iterator[nn.Module]":
    """The networks among the attributes of an object, and of objects that it holds."""
    from torch import nn

    for value in vars(holder).values():
        if isinstance(value, nn.Module):
            yield value
        elif hasattr(value, "__dict__"):
            yield from _networks(value)


@cache
def _dataset(name: str, config: _Items, root: str) -> Dataset:
    card = registry.datasets.card(name).model_copy(update={"config": dict(config)})
    return cast(Dataset, registry.datasets.load(name)(card, Path(root)))
