"""What is registered, as names with a sentence each; imports neither Typer nor pydantic."""

import sys
from collections.abc import Iterator
from typing import Any

from anonbench.errors import BadConfig, UserError

KINDS = ("methods", "protocols", "judges", "datasets", "weights", "trainings")


def show(kind: str) -> None:
    """Print one line per name.

    Raises:
        BadConfig: There is no such kind.
    """
    rows = dict(summaries(kind))
    width = max(map(len, rows), default=0)
    sys.stdout.writelines(f"{name:<{width}}  {summary}\n" for name, summary in rows.items())


def summaries(kind: str) -> Iterator[tuple[str, str]]:
    """Name and summary of everything of a kind, sorted by name."""
    if kind not in KINDS:
        raise BadConfig(f"'{kind}' is nothing to list.", mend=f"List one of: {', '.join(KINDS)}")
    if kind == "weights":
        from anonbench.weights import catalogue

        yield from ((name, entry.what) for name, entry in sorted(catalogue().items()))
        return
    from anonbench import registry

    known: registry.Registry[Any] = getattr(registry, kind)
    for name in known.names():
        try:
            yield name, known.summary(name)
        except UserError as error:  # one broken plug-in must not hide the others
            yield name, f"cannot be used: {error}"
