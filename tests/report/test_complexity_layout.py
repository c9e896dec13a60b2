"""Table VII of G²Face: networks measured on a machine, beside the paper's figures."""

from typing import Any

from result_factory import make_method, make_metric, make_result

from anonbench.report import paper_layout, tables
from anonbench.report.model import Table
from anonbench.results.published import table
from anonbench.results.record import Counts, DatasetRef, PluginRef, Result

PAPER = table("g2face-table-7")
NO_IMAGES = DatasetRef(name="none", version=1, title="No images", manifest="e" * 64, files=0)
HERE = {"cpu": "Abacus", "threads": 2}


def measured(method: str, side: int = 256, *, latent: bool = False, **environment: Any) -> Result:
    names = [column.metric for column in PAPER.columns] + [*PAPER.beside]
    metrics = tuple(
        make_metric(float(place), "", name=name, std=None) for place, name in enumerate(names)
    )
    counts = Counts(unit="networks", expected=1, used=1, detail={"crop side in pixels": side})
    result = make_result(
        make_method(method, needs_latent=latent),
        metrics,
        protocol=PluginRef(name="complexity", version=1, config={"repeats": 3}),
        dataset=NO_IMAGES,
        judges=(),
        counts={"": counts},
    )
    machine = result.environment.model_copy(update={**HERE, **environment})
    return result.model_copy(update={"environment": machine})


def by_method(results: list[Result], **options: Any) -> Table:
    """The table with methods as rows: the paper prints them as columns."""
    return paper_layout.build(results, PAPER, **options).transposed()


def groups(printed: Table) -> dict[str, list[str]]:
    return {group: [row.label for row in rows] for group, rows in printed.row_groups()}


def test_what_needs_no_images_was_measured_on_a_machine() -> None:
    printed = by_method([measured("fit"), measured("riddle")])
    assert list(groups(printed))[1:] == ["Measured on Abacus, 2 threads"]
    assert "Measured here: Abacus, 2 threads." in printed.caption
    for beside_the_point in ("channel", "dlib", "images.", "presentation"):
        assert beside_the_point not in printed.caption


def test_no_two_machines_share_a_group_or_a_column() -> None:
    results = [
        measured("fit"),
        measured("fit", threads=1),
        measured("riddle"),
        measured("riddle", device="cuda:0", gpu="Galton board"),
    ]
    assert groups(by_method(results, show_published=False)) == {
        "Measured on Abacus, 1 thread": ["FIT"],
        "Measured on Abacus, 2 threads": ["FIT", "RiDDLE"],
        "Measured on Galton board": ["RiDDLE"],
    }
    plain = tables.build(results, tables.plan_layout(results, "complexity", show_published=False))
    assert len({column.group for column in plain.columns}) == 3


def test_both_conventions_and_both_times_stand_beside_the_papers_columns() -> None:
    printed = by_method([measured("falco")])
    assert [(column.group, column.heading) for column in printed.columns] == [
        ("as in the paper", "FLOPs (G) ↓"),
        ("as in the paper", "Params. (M) ↓"),
        ("as in the paper", "Time (s) ↓"),
        ("not in the paper", "MACs, core (G) ↓"),
        ("not in the paper", "FLOPs, inference (G) ↓"),
        ("not in the paper", "Params., inference (M) ↓"),
        ("not in the paper", "Time, inference (s) ↓"),
    ]
    assert [cell.text for cell in printed.rows[-1].cells] == [f"{n}.000" for n in range(7)]
    assert [cell.text for cell in printed.rows[0].cells[3:]] == ["–"] * 4
    assert {column.group for column in by_method([]).columns} == {""}


def test_every_figure_of_the_papers_flops_is_explained() -> None:
    printed = by_method([])
    notes = {note.mark: note.text for note in printed.notes}
    for row, told in zip(printed.rows, PAPER.rows, strict=True):
        (mark,) = row.cells[0].marks
        assert notes[mark] == told.notes["flops"]
    falco = printed.rows[[row.label for row in printed.rows].index("FALCO")]
    assert "steps" in notes[falco.cells[2].marks[0]]


def test_a_method_of_another_size_is_told() -> None:
    printed = paper_layout.build([measured("ciagan", 128), measured("fit")], PAPER)
    said = [note.text for note in printed.notes]
    assert "Crop side in pixels: Ciagan 128, Fit 256." in said


def test_what_a_recipient_needs_changes_nothing_about_networks() -> None:
    printed = by_method([measured("riddle", latent=True)])
    assert [cell.marks for cell in printed.rows[-1].cells] == [()] * 7
