"""docs/reproducing-the-papers.md agrees with the ledger, the catalogue and the results."""

import json
import re
from collections.abc import Iterable

import pytest
from pages import ROOT, commands, mentioned, understood

from anonbench import weights
from anonbench.results import store
from anonbench.results.ledger import BareMachine, Line, ledger
from anonbench.results.published import published, tables

PAGE = (ROOT / "docs" / "reproducing-the-papers.md").read_text(encoding="utf-8")
OTHER = (ROOT / "docs" / "compared-methods.md").read_text(encoding="utf-8")
BASELINES = ROOT / "results" / "baselines"
SECTIONS = re.split(r"^#{2,3} ", PAGE, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    def refuse(error: object) -> None:
        raise AssertionError(error)

    return ledger(published(), store.load_folder(BASELINES, refuse), BareMachine())


def run_commands(text: str) -> list[str]:
    found = [line for how in ("weights", "minutes") for line in commands(text, f"bash needs {how}")]
    return [line for line in found if line.startswith("anonbench run ")]


def asked(command: str) -> set[tuple[object, ...]]:
    """What a command measures: each method and protocol, with all else but its judges."""
    options = understood(command)
    others = tuple(str(options[key]) for key in ("suite", "channel", "dataset", "data_root"))
    return {
        (method, protocol, *others)
        for method in split(options["method"])
        for protocol in split(options["protocol"])
    }


def split(some: Iterable[str]) -> list[str]:
    return [one for text in some for one in text.split(",")]


def section(layout: str) -> str:
    """The section of a table, which prints its layout."""
    (found,) = (one for one in SECTIONS[3:] if f"--layout {layout}\n" in one)
    return found


@pytest.mark.parametrize("layout", tables())
def test_the_commands_of_a_table_measure_all_that_the_ledger_says_they_measure(
    lines, layout
) -> None:
    of_table = [line.command for line in lines if line.printed.table == layout and line.command]
    wanted = {re.sub(r" --judge \S+", "", command) for command in of_table}
    told = {what for line in run_commands(section(layout)) for what in asked(line)}
    needed = {what for line in wanted for what in asked(line)}
    extra = {what[0] for what in told - needed}
    assert needed <= told
    assert not extra


def test_every_weight_and_dataset_that_the_ledger_misses_is_on_the_page(lines) -> None:
    imports = [line.split()[3] for line in commands(PAGE, "bash needs files")]
    others = re.findall(r"^anonbench weights import (\S+)", OTHER, re.MULTILINE)
    missing = {need for line in lines for need in line.needs}
    files = {n.name for n in missing if n.kind == "weights"} & set(weights.catalogue())
    assert files <= {*imports, *others}
    assert {n.name for n in missing if n.kind == "dataset"} <= set(re.findall(r"`([\w-]+)`", PAGE))
    for line in commands(PAGE, "bash needs files"):
        *_, name, file = line.split()
        entry = weights.catalogue()[name]
        assert file == entry.parts[0].file or file in entry.page


def test_what_is_runnable_measured_and_ill_defined_is_as_the_ledger_counts(lines) -> None:
    status = {layout: [] for layout in tables()}
    for line in lines:
        status[line.printed.table].append(line.status)
    assert {name for name, of in status.items() if "measured" in of} == {"g2face-table-7"}
    assert status["g2face-table-7"].count("measured") == 8
    assert "8 of its 15 numbers" in section("g2face-table-7")
    third = status["g2face-table-3"]
    counted = f"{third.count('ill-defined')} of its {len(third)} numbers are ill-defined"
    assert counted in section("g2face-table-3")
    assert set(status["drdpgan-table-1"]) == {"ill-defined"}
    run, _ = commands(PAGE, "bash needs download")
    assert understood(run)["judge"] == ["facenet-vggface2,facenet-casia"]
    here = {line.printed.judge for line in lines if line.status == "runnable"}
    assert here == {"facenet-vggface2", "facenet-casia"}


def test_measured_parameters_and_flops_are_as_near_as_the_page_says(lines) -> None:
    found = [line for line in lines if line.status == "measured"]
    assert all(abs(line.ours.value / line.printed.value - 1) < 0.002 for line in found)


def test_the_demos_numbers_are_those_of_the_results() -> None:
    table = PAGE.split("| measured | G²Face, paper")[1].split("\n\n")[0].splitlines()[2:]
    metrics = {
        "TAR anonymized": ("lfw-tar", "tar", "fr-feature"),
        "TAR recovered": ("lfw-tar", "tar_recovered", "fr-feature"),
        "PSNR recovered": ("recovery", "psnr", ""),
        "MAE recovered": ("recovery", "mae", ""),
        "bit error rate": ("password", "bit-error-rate", ""),
        "float MSE": ("password", "float-mse", ""),
    }
    assert len(table) == len(metrics)
    for row in table:
        title, *cells = (cell.strip() for cell in row.strip("|").split(" | "))
        key = next(metrics[name] for name in metrics if title.startswith(name))
        for method, cell in (("g2face", cells[1]), ("drdpgan", cells[3])):
            assert any(
                f"{v:.{len(cell) - cell.index('.') - 1}f}" == cell for v in demo(method, *key)
            )


def demo(method: str, protocol: str, metric: str, judge: str) -> list[float]:
    """The values of a demo checkpoint on LFW."""
    files = (BASELINES / protocol).glob(f"{method}-checkpoint=demo-bundle*-lfw-*.json")
    results = [json.loads(file.read_text()) for file in files]
    return [
        m["value"]
        for result in results
        for m in result["metrics"]
        if (m["name"], m["judge"]) == (metric, judge)
    ]


def test_estimates_follow_from_the_seconds_that_were_measured() -> None:
    hours = {"min": 1 / 60, "h": 1.0, "days": 24.0}
    rows = PAGE.split("| method | s per image")[1].split("\n\n")[0].splitlines()[2:]
    for row in rows:
        name, seconds, *estimates = (cell.strip(" `") for cell in row.strip("|").split("|"))
        (file,) = (BASELINES / "complexity").glob(f"{name}-*.json")
        values = {m["name"]: m["value"] for m in json.loads(file.read_text())["metrics"]}
        measured = values["inference-seconds"]
        assert float(seconds) == pytest.approx(measured, rel=0.01)
        for count, estimate in zip((2556, 30000), estimates, strict=True):
            number, unit = estimate.split()
            assert float(number) * hours[unit] == pytest.approx(count * measured / 3600, rel=0.06)


def test_the_commands_of_the_figures_are_of_protocols_with_a_plot() -> None:
    figures = PAGE.split("## The figures")[1].split("\n## ")[0]
    kinds = [line.split()[2] for line in mentioned(figures) if line.startswith("anonbench plot")]
    assert kinds == ["tsne", "identity-map", "ablation"]
