"""The options of `anonbench run` that say which engine computes, and where."""

from typing import Annotated, Any

import typer

from anonbench.errors import BadConfig

_PANEL = "Cluster"

EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        help="What computes: this process (`local`), or actors of a Ray cluster (`ray`), with the "
        "same results. Example: --engine ray",
        rich_help_panel=_PANEL,
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        help="Where Ray runs: `local` (the default) starts it on this machine for this run, "
        "`auto` finds the cluster that this machine is part of, HOST:PORT or ray://HOST:10001 "
        "name one. Example: --address auto",
        rich_help_panel=_PANEL,
    ),
]
NumActors = Annotated[
    int | None,
    typer.Option(
        help="Processes that hold networks; without: as many as the cluster has room for. "
        "Example: --num-actors 8",
        min=1,
        rich_help_panel=_PANEL,
    ),
]
GpusPerActor = Annotated[
    float | None,
    typer.Option(
        help="Share of a GPU for each actor; without, they compute on processors. With 0.5 one "
        "prepares images while the other computes. Example: --gpus-per-actor 0.5",
        min=0,
        max=1,
        rich_help_panel=_PANEL,
    ),
]


def with_engine(
    options: dict[str, Any],
    engine: str,
    address: str | None,
    num_actors: int | None,
    gpus_per_actor: float | None,
) -> dict[str, Any]:
    """The options of a run, with what the choice of its engine adds and changes.

    Raises:
        BadConfig: There is no such engine, or options contradict each other.
    """
    given = {"address": address, "num_actors": num_actors, "gpus_per_actor": gpus_per_actor}
    cluster = {name: value for name, value in given.items() if value is not None}
    if engine not in ("local", "ray"):
        raise BadConfig(f"There is no engine '{engine}'.", mend="Use --engine local or ray.")
    if engine == "local":
        if cluster:
            named = ", ".join("--" + name.replace("_", "-") for name in cluster)
            raise BadConfig(f"{named} needs Ray.", mend="Add --engine ray.")
        return options
    device = _device(options["device"], bool(gpus_per_actor))
    if options["precision"] == "auto" and address not in (None, "local"):
        raise BadConfig(
            "--precision auto looks at the machine at hand, not at those of a cluster.",
            mend="Use --precision bf16 or fp32.",
        )
    return {"workers": 1, **options, "device": device, "cluster": cluster}


def _device(asked: str, gpus: bool) -> str:
    """The device of actors; it must go with whether they have GPUs."""
    device = ("cuda" if gpus else "cpu") if asked == "auto" else asked
    if device != ("cuda" if gpus else "cpu"):
        raise BadConfig(
            f"Actors {'with' if gpus else 'without'} GPUs cannot compute on --device {asked}.",
            mend="Leave --device out, or change --gpus-per-actor.",
        )
    return device
