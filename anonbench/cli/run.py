"""`anonbench run`: methods through protocols, results on disk."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anonbench.cli import cluster, console
from anonbench.cli.options import AsJson
from anonbench.cli.stopping import stoppable
from anonbench.errors import BadConfig

if TYPE_CHECKING:
    from anonbench.engine.job import Job
    from anonbench.engine.run import Outcome
    from anonbench.results.record import Interval, Result

_SHOWN = 10
"""Warnings printed of each result; all of them stand in its file."""

_LEVEL = 0.95
"""Of intervals; another one is told."""

_WHAT, _HOW, _MACHINE = "What to measure", "How to measure", "Machine"

Methods = Annotated[
    list[str],
    typer.Option(
        "--method",
        "-m",
        help="Methods, repeated or separated by commas, with settings after colons. "
        "Example: --method identity,pixelate:block=24. `all` means every registered one.",
        rich_help_panel=_WHAT,
    ),
]
Protocols = Annotated[
    list[str],
    typer.Option(
        "--protocol",
        "-p",
        help="Protocols, likewise; `all` means every one of the suite. "
        "Example: --protocol lfw-tar:rule=conservative",
        rich_help_panel=_WHAT,
    ),
]
Suite = Annotated[
    str,
    typer.Option(
        help="Datasets and judges that fit together: `demo` (reachable through package "
        "registries) or `paper` (the papers' own). Example: --suite paper",
        rich_help_panel=_WHAT,
    ),
]
DatasetName = Annotated[
    str,
    typer.Option(
        help="Another dataset than the suite's. Example: --dataset lfw", rich_help_panel=_WHAT
    ),
]
Judges = Annotated[
    list[str] | None,
    typer.Option(
        "--judge",
        help="Judges in place of the suite's, each for the protocols that take its kind. "
        "Example: --judge dlib-resnet,fr-feature",
        rich_help_panel=_WHAT,
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        help="Folder with the dataset, or with a folder named like it. Example: --data-root ~/data",
        rich_help_panel=_WHAT,
    ),
]
Output = Annotated[
    Path,
    typer.Option(help="Folder for results. Example: --output runs/today", rich_help_panel=_WHAT),
]
Seeds = Annotated[
    str,
    typer.Option(
        help="Seeds of the run, one result each. Example: --seed 0,1,2", rich_help_panel=_HOW
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        help="Only a part, for a quick look; what it counts is the protocol's "
        "(pairs of each kind in lfw-tar). Example: --limit 1200",
        min=1,
        rich_help_panel=_HOW,
    ),
]
ChannelText = Annotated[
    str,
    typer.Option(
        help="Publication channel: png, jpeg:Q, webp:Q, resize:S joined by +, or float. "
        "Example: --channel resize:0.5+jpeg:75",
        rich_help_panel=_HOW,
    ),
]
Shown = Annotated[
    str,
    typer.Option(
        help="Judge anonymized crops (`crop`) or crops pasted back (`paste`). "
        "Example: --presentation paste",
        rich_help_panel=_HOW,
    ),
]
DetectorName = Annotated[
    str,
    typer.Option(
        help="Detection judge used for alignment. Example: --detector mtcnn",
        rich_help_panel=_HOW,
    ),
]
Undetected = Annotated[
    str | None,
    typer.Option(
        help="Anonymized images without a face: judge the original's box (`fallback`, the "
        "default) or never accept them (`reject`). Example: --undetected reject",
        rich_help_panel=_HOW,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        help="auto, cpu, cuda, cuda:1, mps. Example: --device cuda", rich_help_panel=_MACHINE
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        help="Images per network call; without: for each network what its card says, else 32. "
        "Example: --batch-size 64",
        min=1,
        rich_help_panel=_MACHINE,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="Processes that decode, align, encode and find faces beside the networks; as many "
        "as cores by default, 1 means none (which is Ray's default, of each actor). "
        "Example: --workers 1",
        min=1,
        rich_help_panel=_MACHINE,
    ),
]
PrecisionName = Annotated[
    str,
    typer.Option(
        help="What networks compute in: fp32, bf16 (under autocast; a result of its own), or auto: "
        "bf16 where the device is made for it. Example: --precision auto",
        rich_help_panel=_MACHINE,
    ),
]
Compiled = Annotated[
    bool,
    typer.Option(
        "--compile",
        help="Let torch compile the networks first: minutes once, then faster on a GPU. "
        "Example: --compile",
        rich_help_panel=_MACHINE,
    ),
]
Existing = Annotated[
    str,
    typer.Option(
        help="What to do about existing results: keep all (`never`), keep complete ones and "
        "compute what is missing (`missing`), or compute everything again (`always`). "
        "Example: --overwrite always",
        rich_help_panel=_MACHINE,
    ),
]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        help="Never open a socket; missing weights are an error. Example: --offline",
        rich_help_panel=_MACHINE,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command `run`."""
    app.command("run")(run)


def run(
    method: Methods,
    protocol: Protocols,
    suite: Suite = "demo",
    dataset: DatasetName = "",
    judge: Judges = None,
    data_root: DataRoot = None,
    output: Output = Path("runs"),
    seed: Seeds = "0",
    limit: Limit = None,
    channel: ChannelText = "png",
    presentation: Shown = "crop",
    detector: DetectorName = "dlib-hog",
    undetected: Undetected = None,
    device: Device = "auto",
    precision: PrecisionName = "fp32",
    compile_networks: Compiled = False,
    batch_size: BatchSize = None,
    workers: Workers = None,
    engine: cluster.EngineName = "local",
    address: cluster.Address = None,
    num_actors: cluster.NumActors = None,
    gpus_per_actor: cluster.GpusPerActor = None,
    overwrite: Existing = "missing",
    offline: Offline = False,
    as_json: AsJson = False,
) -> None:
    """Run methods through protocols and store one result for each.

    Finished results are recognised and not computed again; a run that was stopped continues
    where it was.

    Example: anonbench run --method identity,pixelate --protocol lfw-tar --suite demo
    """
    from anonbench import registry
    from anonbench.weights.needed import protocols_of

    options: dict[str, Any] = {
        "methods": registry.methods.names() if method == ["all"] else split(method),
        "protocols": protocols_of(suite) if protocol == ["all"] else split(protocol),
        "suite": suite,
        "dataset": dataset,
        "judges": split(judge or []),
        "detector": detector,
        "data_root": data_root,
        "output": output,
        "seeds": split([seed]),
        "limit": limit,
        "channel": channel,
        "presentation": presentation,
        "undetected": undetected,
        "device": device,
        "precision": precision,
        "compile_networks": compile_networks,
        "batch_size": batch_size,
        "overwrite": overwrite,
        "offline": offline,
    }
    if workers is not None:
        options["workers"] = workers
    options = cluster.with_engine(options, engine, address, num_actors, gpus_per_actor)
    outcomes = _run(options)
    if as_json:
        console.print_json([_as_json(outcome) for outcome in outcomes])
    else:
        for outcome in outcomes:
            _show(outcome)
    errors = {str(outcome.error): outcome.error for outcome in outcomes if outcome.error}
    for error in errors.values():
        console.report_error(error)
    if errors:
        raise typer.Exit(max(error.exit_code for error in errors.values()))


def make_jobs(options: dict[str, Any]) -> "list[Job]":
    """Jobs for options by the names that `RunConfig` gives them.

    Raises:
        UserError: An option, name, dataset or file is wrong or missing.
    """
    from pydantic import ValidationError

    from anonbench.engine.job import RunConfig
    from anonbench.engine.plan import plan

    try:
        config = RunConfig.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).rstrip("s").replace("_", "-")
        raise BadConfig(
            f"--{name} {first['input']}: {first['msg']}.", mend="See: anonbench run --help"
        ) from error
    return plan(config)


def _run(options: dict[str, Any]) -> "list[Outcome]":
    from anonbench.engine.progress import Progress
    from anonbench.engine.run import run as run_jobs

    console.show_log()
    with stoppable("The same command continues where it was."):
        jobs = make_jobs(options)
        return run_jobs(jobs, jobs[0].config, Progress(console.err))


def split(values: list[str]) -> tuple[str, ...]:
    """The names in an option that may be repeated and may hold several, between commas."""
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def _as_json(outcome: "Outcome") -> dict[str, Any]:
    return {
        "job": outcome.job.title,
        "path": str(outcome.path) if outcome.path else None,
        "computed": outcome.computed,
        "error": str(outcome.error) if outcome.error else None,
        "result": outcome.result.model_dump(mode="json") if outcome.result else None,
    }


def _show(outcome: "Outcome") -> None:
    console.out.print(f"\n[bold]{outcome.job.title}[/]", end="  ")
    if outcome.error:
        console.out.print("[red]failed[/]")
    elif outcome.result:
        state = "computed" if outcome.computed else "already there"
        console.out.print(f"[green]{outcome.result.status}[/] ({state})")
        _show_metrics(outcome.result)
        if outcome.computed and outcome.result.stages:
            _show_stages(outcome.result)
        console.out.print(f"  {outcome.path}", markup=False)


def _span(interval: "Interval") -> str:
    span = f"{_number(interval.low)}…{_number(interval.high)}"
    return span if interval.level == _LEVEL else f"{span} ({interval.level:.0%})"


def _show_metrics(result: "Result") -> None:
    from rich.table import Column, Table

    names = ("judge", "metric", "value", "std", f"{_LEVEL:.0%} interval", "n")
    table = Table(*(Column(name, overflow="fold") for name in names), box=None, padding=(0, 1))
    table.columns[1].no_wrap = True
    for metric in result.metrics:
        value = f"n/a ({metric.reason})" if metric.value is None else _number(metric.value)
        std = "" if metric.std is None else _number(metric.std)
        spans = [_span(interval) for interval in metric.intervals[:1]]
        judge = f"{metric.judge} (white-box)" if metric.white_box else metric.judge
        table.add_row(judge, metric.name, value, std, *(spans or [""]), str(metric.n))
    console.out.print(table)
    for remark in result.remarks:
        console.out.print(f"  {result.method.name}: {remark}", markup=False)
    for warning in result.warnings[:_SHOWN]:
        console.out.print(f"  warning: {warning}", markup=False)
    if len(result.warnings) > _SHOWN:
        more = len(result.warnings) - _SHOWN
        console.out.print(f"  ... and {more} more warnings in the result file")


def _number(value: float) -> str:
    """Four decimals, or two digits of a number that would vanish in them."""
    return f"{value:.1e}" if 0 < abs(value) < 0.001 else f"{value:.4f}"


def _show_stages(result: "Result") -> None:
    from rich.table import Table

    titles = ("stage", "seconds", "in networks", "images", "computed", "images/s", "failed")
    table = Table(*titles, box=None, padding=(0, 2))
    for stage in result.stages:
        table.add_row(
            stage.name,
            f"{stage.seconds:.1f}",
            f"{stage.network_seconds:.1f}",
            str(stage.items),
            str(stage.computed),
            f"{stage.computed / stage.seconds:.1f}" if stage.computed else "",
            str(stage.failed),
        )
    console.out.print(table)
    inside = sum(stage.network_seconds for stage in result.stages)
    share = f", {inside / result.wall_seconds:.0%} of it inside networks" if inside else ""
    memory = f"peak memory {result.peak_memory_mb:.0f} MiB"
    console.out.print(f"  {result.wall_seconds:.1f} s{share}, {memory}")
