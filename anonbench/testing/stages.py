"""Checks of a method's stages, those that anonymize and recover, on a small batch.

Every check returns a detail or raises `NotConformingError`: what was found and how to mend it. The
method is called as the engine calls it, inside `torch.no_grad()`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Literal

import torch
from torch import Tensor

from anonbench.testing.outcome import NotApplicableError, NotConformingError, Rule
from anonbench.testing.randomness import RandomState, isolated

TOLERANCE = 1e-3
"""Largest difference of two images that count as equal: a quarter of an 8-bit step. Networks
round differently for another batch size, which moves a published pixel by one step at most."""

KeyEffect = Literal["change", "none", ""]
"""What other keys must do to an output; empty where nothing is promised."""


@dataclass(frozen=True)
class Trial:
    """What one call did: its output, its input afterwards, and the generators it used."""

    output: Tensor
    images: Tensor
    random_used: list[str]


@dataclass
class Stage:
    """A stage of a method with the batch it is tried on.

    Attributes:
        name: The method's own name for it, `anonymize`, `recover` or `recover_from_latent`.
        call: The bound method.
        images: `[B, 3, S, S]` float32 in `[0, 1]`: crops, or published crops; or latents.
        keys: B keys.
        other_keys: B other keys.
        key_effect: What other keys must do to the output.
        shape: Of the output.
    """

    name: str
    call: Callable[[Tensor, Sequence[bytes]], Tensor] = field(repr=False)
    images: Tensor = field(repr=False)
    keys: list[bytes] = field(repr=False)
    other_keys: list[bytes] = field(repr=False)
    key_effect: KeyEffect
    shape: tuple[int, ...]

    def run(self, images: Tensor, keys: Sequence[bytes], global_seed: int = 0) -> Trial:
        """Call the method on copies, with the global generators seeded."""
        given = images.clone()
        with isolated(global_seed), torch.no_grad():
            before = RandomState.capture()
            output = self.call(given, list(keys))
            used = before.changed(RandomState.capture())
        return Trial(output, given, used)

    def again(self) -> Trial:
        """The first call once more."""
        return self.run(self.images, self.keys)

    @cached_property
    def trial(self) -> Trial:
        """The call that the other calls are compared with."""
        return self.run(self.images, self.keys)


def stage_rules(stage: Stage) -> list[Rule]:
    """All checks of a stage, in their order."""
    table: tuple[tuple[str, Callable[[Stage], str], tuple[str, ...]], ...] = (
        ("shape", shape, ()),
        ("device", device, ("shape",)),
        ("dtype", dtype, ("shape", "device")),
        ("finite", finite, ("dtype",)),
        ("range", value_range, ("finite",)),
        ("gradient", gradient, ("shape",)),
        ("input kept", input_kept, ("shape",)),
        ("repeatable", repeatable, ("finite",)),
        ("global randomness", global_randomness, ("repeatable",)),
        ("batch order", batch_order, ("global randomness",)),
        ("batch size", batch_size, ("batch order",)),
        ("keys", key_effect, ("global randomness",)),
    )
    return [
        Rule(
            f"{stage.name}: {name}",
            partial(check, stage),
            tuple(f"{stage.name}: {other}" for other in after),
        )
        for name, check, after in table
    ]


def shape(stage: Stage) -> str:
    """The output is a tensor of the crops' shape."""
    output, wanted = stage.trial.output, stage.shape
    if not isinstance(output, Tensor):
        raise NotConformingError(
            f"It returned a {type(output).__name__}. Return a tensor {wanted}."
        )
    if output.shape != wanted:
        raise NotConformingError(
            f"It returned {tuple(output.shape)} for crops {wanted}. Return one crop for each, of "
            "the same size: resize inside the method where the network needs another size."
        )
    return str(wanted)


def device(stage: Stage) -> str:
    """The output is where the input is."""
    found, wanted = stage.trial.output.device, stage.images.device
    if found != wanted:
        raise NotConformingError(
            f"It returned a tensor on {found}. Return it on {wanted}, as given."
        )
    return str(found)


def dtype(stage: Stage) -> str:
    """The output is float32."""
    found = stage.trial.output.dtype
    if found != torch.float32:
        raise NotConformingError(f"It returned {found}. Return float32 in [0, 1]: output.float().")
    return "float32"


def finite(stage: Stage) -> str:
    """The output holds neither NaN nor infinity."""
    bad = int((~stage.trial.output.isfinite()).sum())
    if bad:
        raise NotConformingError(
            f"{bad} values are NaN or infinite. Look for a division by zero, a logarithm of zero, "
            "or an overflow in half precision."
        )
    return "no NaN, no infinity"


def value_range(stage: Stage) -> str:
    """The output lies in [0, 1]."""
    low, high = (float(value) for value in stage.trial.output.detach().aminmax())
    found = f"[{low:.4g}, {high:.4g}]"
    if low < 0 or high > 1:
        raise NotConformingError(
            f"Values span {found}. Convert a network's [-1, 1] by (x + 1) / 2 and clamp to [0, 1]."
        )
    return found


def gradient(stage: Stage) -> str:
    """The output is detached from any graph."""
    if stage.trial.output.requires_grad:
        raise NotConformingError(
            "The output requires a gradient, which keeps every activation in memory. "
            "Return output.detach()."
        )
    return "requires no gradient"


def input_kept(stage: Stage) -> str:
    """The input tensor is not modified."""
    changed = difference(stage.trial.images, stage.images)
    if changed > 0:
        raise NotConformingError(
            f"The input was changed in place by up to {changed:.3g}. Work on a copy "
            "(images.clone()) and avoid in-place operations such as add_ or clamp_."
        )
    return "unchanged"


def repeatable(stage: Stage) -> str:
    """The same images and keys give the same output again."""
    found = difference(stage.run(stage.images, stage.keys).output, stage.trial.output)
    if found > TOLERANCE:
        raise NotConformingError(
            f"A second call gave another output (difference {found:.3g}). Draw everything random "
            "from a generator seeded with the sample's key, keep no state between calls, and call "
            "eval() on the networks."
        )
    return f"difference {found:.2g}"


def global_randomness(stage: Stage) -> str:
    """The global random number generators are neither read nor changed."""
    if stage.trial.random_used:
        raise NotConformingError(
            f"It changes the global generator of {' and '.join(stage.trial.random_used)}. "
            "Use a torch.Generator seeded with the sample's key for everything random."
        )
    disturbed = stage.run(stage.images, stage.keys, global_seed=1).output
    found = difference(disturbed, stage.trial.output)
    if found > TOLERANCE:
        raise NotConformingError(
            f"With other global random states it gave another output (difference {found:.3g}). "
            "Use a torch.Generator seeded with the sample's key for everything random."
        )
    return "neither read nor changed"


def batch_order(stage: Stage) -> str:
    """A reversed batch gives the reversed output."""
    reversed_output = stage.run(stage.images.flip(0), stage.keys[::-1]).output
    found = difference(reversed_output.flip(0), stage.trial.output)
    if found > TOLERANCE:
        raise NotConformingError(
            f"In a reversed batch a crop came out differently (difference {found:.3g}). "
            "A crop's output may depend on the crop and its own key alone, not on its position."
        )
    return f"difference {found:.2g}, allowed {TOLERANCE:g}"


def batch_size(stage: Stage) -> str:
    """Crops alone come out as they do in a batch."""
    pairs = zip(stage.images, stage.keys, strict=True)
    alone = torch.cat([stage.run(image[None], [key]).output for image, key in pairs])
    found = difference(alone, stage.trial.output)
    if found > TOLERANCE:
        raise NotConformingError(
            f"A crop alone came out differently than in a batch (difference {found:.3g}). "
            "Call eval() on the networks (batch normalisation) and use no statistics of the batch."
        )
    return f"difference {found:.2g}, allowed {TOLERANCE:g}"


def key_effect(stage: Stage) -> str:
    """Other keys change every output, or none, as the card promises."""
    if not stage.key_effect:
        raise NotApplicableError("the card's key is a public seed, which promises nothing here")
    other = stage.run(stage.images, stage.other_keys).output.detach()
    each = (other - stage.trial.output.detach()).abs().amax(dim=(1, 2, 3))
    if stage.key_effect == "none" and float(each.max()) > TOLERANCE:
        raise NotConformingError(
            f"Other keys changed the output (difference {float(each.max()):.3g}), but the card "
            "says key = 'none'. Write key = 'seed' or 'password' in the card."
        )
    if stage.key_effect == "change" and float(each.min()) <= TOLERANCE:
        raise NotConformingError(
            f"Another key left {int((each <= TOLERANCE).sum())} of {len(each)} crops as they were. "
            "Derive the randomness or the password from each crop's own key, or, where the method "
            "needs no key, write key = 'none' in the card."
        )
    return f"other keys: smallest difference {float(each.min()):.2g}"


def difference(one: Tensor, other: Tensor) -> float:
    """The largest absolute difference; infinite where the shapes differ or a value is NaN."""
    if one.shape != other.shape:
        return float("inf")
    found = float((one.detach().double() - other.detach().double()).abs().max())
    return found if found == found else float("inf")
