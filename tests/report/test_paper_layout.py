"""Results in the layout of a paper's table: which number stands where, and what the notes say."""

from datetime import UTC, datetime
from typing import Any

import pytest
from result_factory import make_method, make_metric, make_result

from anonbench import registry
from anonbench.report import paper_layout
from anonbench.report.latex import latex
from anonbench.report.markup import html, markdown
from anonbench.report.model import Table
from anonbench.report.terminal import text
from anonbench.results.published import table
from anonbench.results.record import DatasetRef, Metric, PluginRef, Remark, Result, Setup

PAPER = "DR-DPGAN (JADC 2025)"
ORL = DatasetRef(name="orl", version=1, title="ORL", manifest="a" * 64, files=400)
LFW = DatasetRef(name="lfw", version=1, title="LFW", manifest="b" * 64, files=13233)
CELEBA_HQ = DatasetRef(
    name="celeba-hq", version=1, title="CelebA-HQ", manifest="c" * 64, files=30000
)


def number(value: float | None, name: str, judge: str = "", **changes: Any) -> Metric:
    return make_metric(value, judge, **{"name": name, "std": None, **changes})


def measured(protocol: str, *metrics: Metric, method: str = "drdpgan", **changes: Any) -> Result:
    titles = {"drdpgan": "Our own title", "identity": "Original"}
    config = changes.pop("config", {"images": "probes"})
    return make_result(
        make_method(method, titles.get(method, "")),
        metrics,
        **{
            "protocol": PluginRef(name=protocol, version=1, config=config),
            "dataset": ORL,
            "judges": tuple(j for j in make_result(metrics=metrics).judges if j.name),
            **changes,
        },
    )


def similarity(judge: str, anonymized: float, recovered: float | None, **changes: Any) -> Result:
    reason = "" if recovered is not None else "not reversible"
    return measured(
        "celebahq-similarity",
        number(anonymized, "cosine", judge),
        number(recovered, "cosine-recovered", judge, direction="higher", reason=reason),
        **changes,
    )


def recovery(mae: float, psnr: float, **changes: Any) -> Result:
    metrics = (number(mae, "mae"), number(psnr, "psnr", direction="higher"))
    return measured("recovery", *metrics, **changes)


def password(rate: float, mse: float, **changes: Any) -> Result:
    return measured("password", number(rate, "bit-error-rate"), number(mse, "float-mse"), **changes)


def layout(number_of_table: int, *results: Result, **options: Any) -> Table:
    return paper_layout.build(results, table(f"drdpgan-table-{number_of_table}"), **options)


def shown(printed: Table) -> dict[str, dict[str, list[str]]]:
    """Texts of all cells with their marks, by heading and row."""
    return {
        group: {
            row.label: [" ".join((cell.text, *cell.marks)) for cell in row.cells] for row in rows
        }
        for group, rows in printed.row_groups()
    }


def notes(printed: Table) -> list[str]:
    return [f"{note.mark} {note.text}".strip() for note in printed.notes]


def setup(**changes: Any) -> Setup:
    detector = PluginRef(name="dlib-hog", version=1)
    return Setup(**{"seed": 0, "detector": detector, "templates": {"ffhq-256": 1}, **changes})


PUBLISHED_2 = {
    "RiDDLE": ["0.159", "0.782", "0.079", "20.231"],
    "FIT": ["0.181", "0.760", "0.070", "19.215"],
    "DR-DPGAN": ["0.103", "0.811", "0.055", "23.029"],
}


# ------------------------------------------------------------------------------ the paper's tables
def test_table_1_is_the_papers_and_below_it_what_was_measured() -> None:
    def accuracy(method: str, anonymized: float, recovered: float | None) -> Result:
        return measured(
            "casia-accuracy",
            number(anonymized, "accuracy-b", "fr-feature"),
            number(
                recovered,
                "accuracy-b-recovered",
                "fr-feature",
                direction="higher",
                reason="" if recovered is not None else "not reversible",
            ),
            number(50.0, "accuracy-a", "fr-feature"),
            method=method,
        )

    printed = layout(
        1,
        accuracy("blur", 3.75, None),
        accuracy("drdpgan", 12.5, 87.5),
        accuracy("identity", 100.0, 100.0),
    )
    assert printed.stub == "Algorithm"
    assert [column.heading for column in printed.columns] == [
        "Anonymization (%) ↓",
        "Recovery (%) ↑",
    ]
    assert shown(printed) == {
        f"Published: {PAPER}, Table 1, on CASIA-WebFace": {
            "RiDDLE": ["7.56 a", "92.36 a"],
            "FIT": ["9.63 a", "91.02 a"],
            "DR-DPGAN": ["6.85 a", "93.79 a"],
        },
        "Measured on ORL, judge Fr-Feature, channel png": {
            "DR-DPGAN": ["12.50", "87.50"],
            "Original": ["100.00", "100.00"],
            "Blur": ["3.75", "n/a b"],
        },
    }
    assert "a disputed: the text describes variant A, the number fits variant B" in notes(printed)
    assert "b not reversible" in notes(printed)


def test_table_2_joins_two_protocols_under_each_judge() -> None:
    printed = layout(
        2,
        similarity("dlib-resnet", 0.2, 0.9),
        similarity("fr-feature", 0.3, 0.7),
        recovery(0.0318, 26.119),
    )
    assert printed.spans() == [("Anonymization", 1), ("Recovery", 3)]
    assert shown(printed) == {
        f"Published: {PAPER}, Table 2, on CelebA-HQ": PUBLISHED_2,
        "Measured on ORL, judge Dlib-Resnet, channel png": {
            "DR-DPGAN": ["0.200", "0.900", "0.032", "26.119"]
        },
        "Measured on ORL, judge Fr-Feature, channel png": {
            "DR-DPGAN": ["0.300", "0.700", "0.032", "26.119"]
        },
    }
    assert paper_layout.REPEATED in notes(printed)


def test_table_3_has_a_row_per_database_and_ranks_none() -> None:
    printed = layout(
        3,
        password(0.01, 0.2),
        password(0.0001, 0.00149, dataset=CELEBA_HQ),
        password(0.02, 0.3, method="g2face"),
        measured(
            "password",
            number(None, "bit-error-rate", reason="hides no bits"),
            number(None, "float-mse", reason="hides no bits"),
            method="blur",
        ),
    )
    assert printed.stub == "Database"
    assert shown(printed) == {
        f"DR-DPGAN, published: {PAPER}, Table 3": {
            "CelebA-HQ": ["0.0001", "0.0010"],
            "CASIA-WebFace": ["0.0001", "0.0013"],
        },
        "DR-DPGAN, measured, channel png": {
            "CelebA-HQ": ["0.0001", "0.0015"],
            "ORL": ["0.0100", "0.2000"],
        },
        "G2Face, measured, channel png": {"ORL": ["0.0200", "0.3000"]},
    }
    assert all(cell.rank == 0 for row in printed.rows for cell in row.cells)
    assert "Blur, measured, channel png: hides no bits." in notes(printed)
    assert "Not measured on CASIA-WebFace: DR-DPGAN (measured on other data)." in notes(printed)


# ----------------------------------------------------------------------------------- what is where
def test_a_cell_that_was_not_measured_says_so_and_why() -> None:
    printed = layout(2, similarity("j", 0.2, 0.9), recovery(0.03, 26.0, method="blur"))
    group = shown(printed)["Measured on ORL, judge J, channel png"]
    assert group == {
        "DR-DPGAN": ["0.200", "0.900", "n/a a", "n/a a"],
        "Blur": ["n/a b", "n/a b", "0.030", "26.000"],
    }
    assert notes(printed)[:2] == [
        "a not measured: no result of recovery under these conditions",
        "b not measured: no result of celebahq-similarity under these conditions",
    ]


def test_other_data_channels_and_settings_are_other_groups_named_by_the_heading() -> None:
    printed = layout(
        2,
        recovery(0.01, 30.0),
        recovery(0.02, 30.0, dataset=LFW),
        recovery(0.03, 30.0, dataset=LFW, setup=setup(limit=500)),
        recovery(0.04, 30.0, setup=setup(channel="jpeg:75")),
        recovery(0.05, 30.0, setup=setup(presentation="paste")),
        recovery(0.06, 30.0, config={"images": "all"}),
        show_published=False,
    )
    told = {group: rows["DR-DPGAN"][2] for group, rows in shown(printed).items()}
    crop, probes = "presentation crop", "images probes"
    assert told == {
        f"Measured on LFW (limit 500), channel png, {crop}, {probes}": "0.030",
        f"Measured on LFW, channel png, {crop}, {probes}": "0.020",
        f"Measured on ORL, channel jpeg:75, {crop}, {probes}": "0.040",
        f"Measured on ORL, channel png, {crop}, images all": "0.060",
        f"Measured on ORL, channel png, {crop}, {probes}": "0.010",
        f"Measured on ORL, channel png, presentation paste, {probes}": "0.050",
    }
    assert "images" not in printed.caption
    assert "suite demo" in printed.caption


def test_no_judge_of_one_setting_is_named_over_numbers_of_another() -> None:
    printed = layout(
        1,
        measured(
            "casia-accuracy", number(5.0, "accuracy-b", "dlib-resnet"), config={"recipe": "probe"}
        ),
        measured("casia-accuracy", number(9.0, "accuracy-b"), config={"recipe": "facenet"}),
        show_published=False,
    )
    assert {group: rows["DR-DPGAN"][0] for group, rows in shown(printed).items()} == {
        "Measured on ORL, channel png, recipe facenet": "9.00",
        "Measured on ORL, judge Dlib-Resnet, channel png, recipe probe": "5.00",
    }


def test_a_judge_of_one_setting_gets_no_group_in_another() -> None:
    printed = layout(
        2,
        similarity("j", 0.1, 0.9, config={"seeds": 1}),
        similarity("k", 0.2, 0.8, config={"seeds": 5}),
        recovery(0.03, 26.0),
        show_published=False,
    )
    assert {group: rows["DR-DPGAN"] for group, rows in shown(printed).items()} == {
        "Measured on ORL, judge J, channel png, seeds 1": ["0.100", "0.900", "0.030", "26.000"],
        "Measured on ORL, judge K, channel png, seeds 5": ["0.200", "0.800", "0.030", "26.000"],
    }


def test_a_part_of_the_data_is_called_so_also_where_nothing_else_was_measured() -> None:
    printed = layout(2, recovery(0.1, 20.0, setup=setup(limit=30)), show_published=False)
    assert list(shown(printed)) == ["Measured on ORL (limit 30), channel png"]


def test_the_papers_data_come_first_where_they_were_measured() -> None:
    faces = ORL.model_copy(update={"name": "att", "title": "AT&T"})
    printed = layout(
        2, recovery(0.01, 30.0, dataset=faces), recovery(0.02, 30.0, dataset=CELEBA_HQ)
    )
    assert [group.split(",")[0] for group in shown(printed)] == [
        "Published: DR-DPGAN (JADC 2025)", "Measured on CelebA-HQ", "Measured on AT&T",
    ]  # fmt: skip


def test_rows_are_in_the_papers_order_with_its_titles_then_the_others() -> None:
    methods = ["pixelate", "blur", "identity", "drdpgan", "fit", "riddle"]
    printed = layout(2, *(recovery(0.1, 20.0, method=m) for m in methods))
    assert list(shown(printed)["Measured on ORL, channel png"]) == [
        "RiDDLE", "FIT", "DR-DPGAN", "Original", "Blur", "Pixelate",
    ]  # fmt: skip


def test_ranks_are_within_a_group_and_without_the_original() -> None:
    printed = layout(
        2,
        recovery(0.5, 10.0, method="blur"),
        recovery(0.4, 30.0),
        recovery(0.0, 90.0, method="identity"),
    )
    ranks = {
        (row.group[:9], row.label): [cell.rank for cell in row.cells[2:]] for row in printed.rows
    }
    assert ranks == {
        ("Published", "RiDDLE"): [0, 2],
        ("Published", "FIT"): [2, 0],
        ("Published", "DR-DPGAN"): [1, 1],
        ("Measured ", "DR-DPGAN"): [1, 1],
        ("Measured ", "Original"): [0, 0],
        ("Measured ", "Blur"): [2, 2],
    }


def test_of_two_results_for_one_cell_the_newest_is_shown() -> None:
    later = recovery(0.02, 30.0, created=datetime(2027, 1, 1, tzinfo=UTC))
    printed = layout(2, recovery(0.01, 30.0), later, show_published=False)
    assert [row.cells[2].text for row in printed.rows] == ["0.020"]
    assert "Older results of the same configuration left out: 1." in notes(printed)


def test_failed_run_stands_in_the_papers_columns_without_a_number() -> None:
    failed = recovery(0.01, 30.0, status="failed", error="disk full")
    printed = layout(2, similarity("j", 0.2, 0.9), failed)
    assert shown(printed)["Measured on ORL, judge J, channel png"] == {
        "DR-DPGAN": ["0.200", "0.900", "failed a", "failed a"]
    }
    assert "a failed: disk full" in notes(printed)


def test_notes_say_which_rows_of_the_paper_nobody_measured_and_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry.methods, "names", lambda: ["drdpgan", "fit", "blur"])
    printed = layout(2, recovery(0.1, 20.0, method="fit"), recovery(0.1, 20.0, method="blur"))
    assert (
        "Not measured on CelebA-HQ: RiDDLE (no such method is installed); "
        "FIT (measured on other data); DR-DPGAN (no result here)." in notes(printed)
    )
    methods = ("riddle", "fit", "drdpgan")
    everything = [recovery(0.1, 20.0, method=m, dataset=CELEBA_HQ) for m in methods]
    assert not any(note.startswith("Not measured on") for note in notes(layout(2, *everything)))


def test_what_the_method_remarked_stands_once_in_the_notes() -> None:
    remark = Remark(
        name="converged", says="the loop ended", images=3000, mean=0.998,
        low=1, high=1, min=0, max=1,
    )  # fmt: skip
    printed = layout(
        2,
        similarity("j", 0.2, 0.9, remarks=(remark,)),
        recovery(0.1, 20.0, remarks=(remark,)),
    )
    said = [note for note in notes(printed) if "converged 99.8% of 3,000 images" in note]
    assert len(said) == 1


def test_a_number_of_another_judge_never_stands_under_the_papers_judge() -> None:
    results = [
        make_result("blur", (make_metric(0.1, "arcface-r100-ms1mv3"), make_metric(0.2, "mine")))
    ]
    printed = paper_layout.build(results, table("g2face-table-1"))
    assert [c.title for c in printed.columns][-2:] == ["AdaFace (WebFace12M)", "TAR, Mine"]
    row = next(row for row in printed.rows if row.label == "Blur")
    assert row.group == "Measured on ORL, channel png"
    assert [cell.text for cell in row.cells] == [
        "n/a", "n/a", "0.100 ± 0.010", "n/a", "0.200 ± 0.010",
    ]  # fmt: skip
    assert "a not measured: no result of lfw-tar by this judge under these conditions" in notes(
        printed
    )


@pytest.mark.parametrize("name", [f"g2face-table-{n}" for n in range(1, 8)])
def test_every_published_table_is_a_layout(name: str) -> None:
    paper = table(name)
    printed = paper_layout.build([], paper)
    if paper.transposed:
        assert [column.title for column in printed.columns] == [row.title for row in paper.rows]
        printed = printed.transposed()
    assert [[cell.text for cell in row.cells] for row in printed.rows] == [
        list(row.cells) for row in paper.rows
    ]


def test_digits_replace_the_papers_decimals() -> None:
    printed = layout(2, recovery(0.12345, 20.0), show_published=False, digits=1)
    assert [cell.text for cell in printed.rows[0].cells[2:]] == ["0.1", "20.0"]


def test_caption_names_the_papers_table_and_the_data_used_here() -> None:
    caption = layout(2, recovery(0.1, 20.0), similarity("j", 0.1, 0.2)).caption
    for fact in (
        f"After {PAPER}, Table 2", "Measured here: ORL.", "channel png", "seed 0",
        "recovery v1: images probes.", "celebahq-similarity v1: images probes.",
        "within each group of rows",
    ):  # fmt: skip
        assert fact in caption


# ----------------------------------------------------------------------------------------- formats
def test_groups_of_rows_in_every_format() -> None:
    printed = layout(3, password(0.01, 0.2, method="a_b&c%"))
    source = latex(printed)
    assert r"\multicolumn{3}{l}{\textit{A\_B\&C\%, measured, channel png}} \\" in source
    assert r"Database & Bit Error Rate $\downarrow$" in source
    assert source.count(r"\midrule") == 2
    assert r"    \quad ORL & 0.0100 & 0.2000 \\" in source
    marked = markdown(printed).splitlines()
    at = marked.index("| *A\\_B&amp;C%, measured, channel png* |  |  |")
    assert marked[at + 1] == "| ORL | 0.0100 | 0.2000 |"
    page = html([printed])
    assert page.count("<tbody>") == page.count("</tbody>") == 2
    assert '<th scope="rowgroup" colspan="3">A_B&amp;C%, measured, channel png</th>' in page
    lines = text(printed, width=None, styled=False).splitlines()
    at = next(n for n, line in enumerate(lines) if "A_B&C%, measured, channel png" in line)
    assert lines[at + 1].split() == ["ORL", "0.0100", "0.2000"]
