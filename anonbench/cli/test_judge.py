"""`anonbench test-judge`: does a judge plug-in keep its promises to the suite?"""

from typing import Annotated

import typer

from anonbench.cli.test_method import report


def register(app: typer.Typer) -> None:
    """Add the command `test-judge`."""
    app.command("test-judge")(test_judge)


def test_judge(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME[:KEY=VALUE]",
            help="A registered judge. Example: `anonbench test-judge arcface-r50-ms1mv3:flip=no`",
        ),
    ],
    device: Annotated[
        str,
        typer.Option(help="Where to run it: auto, cpu, cuda, mps. Example: `--device cuda:1`"),
    ] = "cpu",
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document. Example: `--json | jq .failed`")
    ] = False,
) -> None:
    """Run the conformance suite on a judge.

    It checks the card, the shapes that it promises, finite numbers, determinism, independence of
    the batch, and that different images are judged differently, on synthetic faces without any
    data set. It exits with 1 where a check fails.

    Example: `anonbench test-judge dlib-resnet`
    """
    from anonbench.testing import check_judge

    report("judge", name, check_judge(name, device), json)
