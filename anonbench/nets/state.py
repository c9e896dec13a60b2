"""Loading a state dict into a network, key for key."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from anonbench.errors import BadData

_SHOWN = 8


def load_state(
    net: nn.Module,
    state: Mapping[str, Tensor],
    *,
    source: str = "The state dict",
    unused: Sequence[str] = (),
    assign: bool = False,
) -> None:
    """Load a state dict; keys and shapes must be those of the network.

    Only the step counters of batch normalisation may be missing: they have no effect after
    training, and files from before PyTorch 0.4.1 do not have them.

    Args:
        net: The network.
        state: Its official state dict.
        source: How a message names the state dict, e.g. the path of its file.
        unused: Glob patterns of keys that the official file has and this network has no use for.
        assign: Make the given tensors the network's own in place of copying them: for a network
            on the meta device, so that a large one is in memory once.

    Raises:
        BadData: Keys are missing or unexpected, or shapes differ; the message lists them.
    """
    own = net.state_dict()
    given = {
        key: value
        for key, value in state.items()
        if key in own or not any(fnmatchcase(key, pattern) for pattern in unused)
    }
    problems = [
        _listed("missing", [key for key in own if key not in given and not _counts(key)]),
        _listed("unexpected", [key for key in given if key not in own]),
        _listed("of another shape", _other_shapes(own, given)),
    ]
    if any(problems):
        raise BadData(
            f"{source} does not fit {type(net).__name__}.",
            why=" ".join(problem for problem in problems if problem),
            mend="Give the file that the model's authors published, or convert its keys.",
        )
    counters = {key: torch.zeros(value.shape) for key, value in own.items() if key not in given}
    complete = {**counters, **given}
    typed = {key: value.to(own[key].dtype) for key, value in complete.items()}
    net.load_state_dict(typed, assign=assign)


def _counts(key: str) -> bool:
    return key.rpartition(".")[2] == "num_batches_tracked"


def _other_shapes(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    return [
        f"{key} {list(given[key].shape)} instead of {list(value.shape)}"
        for key, value in own.items()
        if key in given and given[key].shape != value.shape
    ]


def _listed(what: str, items: list[str]) -> str:
    """`2 missing: a, b.`, at most eight by name; nothing for an empty list."""
    if not items:
        return ""
    more = f", and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return f"{len(items)} {what}: {', '.join(items[:_SHOWN])}{more}."
