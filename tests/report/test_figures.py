"""Figures: what is drawn is what was stored, and what weakens it is said in the figure."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from numpy.testing import assert_allclose
from result_factory import make_method, make_metric, make_result
from sklearn.metrics import roc_curve

from anonbench.metrics.bootstrap import tar_replicates
from anonbench.metrics.password import errors_by_position
from anonbench.metrics.verification import ScoredPairs
from anonbench.report.figures import KINDS
from anonbench.report.figures.drawing import Drawing
from anonbench.report.figures.pareto import front
from anonbench.report.figures.rates import roc_points, stored_pairs, tar_at
from anonbench.report.figures.robustness import coarseness
from anonbench.report.figures.source import Choice, open_source
from anonbench.results import store
from anonbench.results.record import Interval, PluginRef, Result, Setup
from anonbench.values import Scores

BOOTSTRAP: dict[str, Any] = {"bootstrap": 100, "bootstrap_seed": 0}
PEOPLE, PAIRS = 12, 200


# ---------------------------------------------------------------------------------------- results
def of_protocol(name: str, method: str, **changes: Any) -> Result:
    """A result of a protocol, with its settings."""
    config = {"undetected": "fallback", "far": 0.01, "rule": "pooled", **BOOTSTRAP}
    fields = {"protocol": PluginRef(name=name, version=1, config=config), **changes}
    return make_result(method, **fields)


def pair_scores(seed: int) -> Scores:
    """Genuine pairs nearer than impostors, with ties, one failed pair and one without a face."""
    random = np.random.default_rng(seed)
    same = np.arange(PAIRS) % 2 == 0
    distance = (random.normal(np.where(same, 0.9, 1.5), 0.3).clip(0.01, 3.9) * 50).round() / 50
    first = random.integers(PEOPLE, size=PAIRS)
    second = np.where(same, first, (first + random.integers(1, PEOPLE, size=PAIRS)) % PEOPLE)
    found = np.ones(PAIRS, bool)
    distance[7], found[4] = np.nan, False
    return {
        "distance": distance,
        "same": same,
        "fold": np.zeros(PAIRS, np.int64),
        "identity_a": first,
        "identity_b": second,
        "found_probe": found,
    }


def packed(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(256, size=(5, 16)).astype(np.uint8)


def password_scores() -> Scores:
    """Five images of four floats each, one more that failed."""
    return {
        "failed": np.array([""] * 5 + ["no face"]),
        "count": np.array(128),
        "wrong_by_position": errors_by_position(packed(0), packed(1)),
    }


def key_scores() -> Scores:
    random = np.random.default_rng(2)
    return {
        "failed": np.array(["", "", "", "no face"]),
        "identity": np.array([0, 1, 1, 2]),
        "flips": np.vstack([random.uniform(size=(3, 4)), np.full((1, 4), np.nan)]),
        "flip_counts": np.array([1, 2, 8, 512]),
    }


def map_scores() -> Scores:
    random = np.random.default_rng(3)
    return {
        "map": random.normal(size=(3, 4, 2)),
        "perplexity": np.array(3.0),
        "failed": np.array(["", "", "", "no face"]),
        "identity": np.array([0, 0, 1, 1]),
        "source": np.array(["reference", "published"]),
        "tsne2": random.normal(size=(4, 2, 2)),
        "pca3": random.normal(size=(4, 2, 3)),
    }


def fill(folder: Path) -> Path:
    """Results of every protocol that a figure is drawn from, of two methods."""
    for number, method in enumerate(("identity", "blur")):
        verified = of_protocol("lfw-tar", method, metrics=(metric(0.9 - 0.4 * number),))
        store.save(verified, {"dlib-resnet": pair_scores(number)}, folder)
        moved = metric(3.0 * number, name="landmark-distance", judge="dlib-hog")
        store.save(of_protocol("utility", method, metrics=(moved,)), {}, folder)
        store.save(of_protocol("ablation", method, metrics=(metric(0.3 + number),)), {}, folder)
        said = {"setup": setup(channel="jpeg:75"), "warnings": ("2 pairs failed.",)}
        coarse = of_protocol("lfw-tar", method, metrics=(metric(0.5 - 0.4 * number),), **said)
        store.save(coarse, {}, folder)
        for name in ("diversity", "identity-map"):
            store.save(of_protocol(name, method), {"dlib-resnet": map_scores()}, folder)
    for name, scores in (("password", password_scores()), ("key-sensitivity", key_scores())):
        unjudged = of_protocol(name, "blur", metrics=(metric(0.5, judge=""),), judges=())
        store.save(unjudged, {"": scores}, folder)
    return folder


def metric(value: float, **changes: Any) -> Any:
    interval = Interval(low=value - 0.1, high=value + 0.2, method="bootstrap")
    return make_metric(value, intervals=(interval,), **changes)


def setup(**changes: Any) -> Setup:
    return make_result().setup.model_copy(update=changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def draw(folder: Path) -> Callable[..., Drawing]:
    def drawn(kind: str, where: Path = folder, **choice: Any) -> Drawing:
        source = open_source(where, store.load_folder(where), Choice(**choice))
        return KINDS[kind].draw(source)

    return drawn


def line(figure: Figure, label: str, panel: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The data of the line with a label."""
    found = next(x for x in figure.axes[panel].get_lines() if x.get_label() == label)
    return np.asarray(found.get_xdata()), np.asarray(found.get_ydata())


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


# ------------------------------------------------------------------------------------------ rates
def reference_roc(scores: Scores) -> tuple[np.ndarray, np.ndarray]:
    known = ~np.isnan(scores["distance"].astype(float))
    far, tar, _ = roc_curve(scores["same"][known], -scores["distance"].astype(float)[known])
    return far, tar


def test_roc_and_det_draw_what_scikit_learn_computes(draw: Callable[..., Drawing]) -> None:
    roc, det = draw("roc").figure, draw("det").figure
    for number, label in enumerate(("Identity", "Blur")):
        far, tar = reference_roc(pair_scores(number))
        for found, expected in zip(line(roc, label), (far, tar), strict=True):
            np.testing.assert_allclose(found, expected)
        for found, expected in zip(line(det, label), (far, 1 - tar), strict=True):
            np.testing.assert_allclose(found, expected)


def test_bands_are_those_of_the_protocols_bootstrap() -> None:
    pairs = stored_pairs(pair_scores(0), "fallback")
    drawn = np.random.default_rng(1).multinomial(PEOPLE, [1 / PEOPLE] * PEOPLE, size=20)
    expected = tar_replicates(pairs, 0.1, "pooled", drawn)
    np.testing.assert_allclose(tar_at(pairs, np.array([0.1, 1.0]), drawn)[:, 0], expected)


def test_with_everyone_drawn_once_a_replicate_is_the_curve_itself() -> None:
    pairs = stored_pairs(pair_scores(0), "fallback")
    far, tar = roc_points(pairs)
    steps = np.unique(far)
    expected = [tar[far == step].max() for step in steps]
    once = np.ones((1, PEOPLE), np.int64)
    np.testing.assert_allclose(tar_at(pairs, steps, once)[0], expected)


def test_a_rejected_probe_is_never_accepted() -> None:
    scores = pair_scores(0)
    genuine = int(scores["same"].sum())
    assert roc_points(stored_pairs(scores, "fallback"))[1][-1] == 1
    assert roc_points(stored_pairs(scores, "reject"))[1][-1] == pytest.approx(1 - 1 / genuine)


def test_roc_of_perfect_separation_is_a_corner() -> None:
    codes = np.zeros(4, np.int64)
    same = np.array([True, True, False, False])
    pairs = ScoredPairs(np.array([0.1, 0.2, 1.0, 1.1]), same, codes, codes, codes)
    far, tar = roc_points(pairs)
    assert list(zip(far, tar, strict=True)) == [(0, 0), (0, 0.5), (0, 1), (1, 1)]


# ------------------------------------------------------------------------------- the other figures
def test_bits_are_counted_as_by_hand(draw: Callable[..., Drawing]) -> None:
    wrong = [0] * 32
    for one, other in zip(packed(0), packed(1), strict=True):
        digits = "".join(f"{a ^ b:08b}" for a, b in zip(one, other, strict=True))
        for place, digit in enumerate(digits):
            wrong[place % 32] += digit == "1"
    patches = draw("bits").figure.axes[0].patches
    bars = {
        round(x.get_x() + x.get_width() / 2): x.get_height()
        for x in patches
        if isinstance(x, Rectangle)
    }
    assert bars == {bit + 1: pytest.approx(count / 20) for bit, count in enumerate(wrong)}
    colours = [x.get_facecolor() for x in patches]
    assert [len(set(colours[a:b])) for a, b in ((0, 1), (1, 9), (9, 32))] == [1, 1, 1]
    assert len(set(colours)) == 3


def test_keys_draw_the_stored_curve(draw: Callable[..., Drawing]) -> None:
    counts, means = line(draw("keys").figure, "Blur")
    np.testing.assert_array_equal(counts, [1, 2, 8, 512])
    np.testing.assert_allclose(means, key_scores()["flips"][:3].astype(float).mean(axis=0))


def test_pareto_joins_metrics_of_the_same_method(draw: Callable[..., Drawing]) -> None:
    (ax,) = draw("pareto").figure.axes
    points = {(float(c[0].get_xdata()[0]), float(c[0].get_ydata()[0])) for c in ax.containers}
    assert points == {(0.9, 0.0), (0.5, 3.0)}
    bars = ax.containers[0][2][0].get_segments()[0]
    assert np.ptp(bars[:, 0]) == pytest.approx(0.3)


def test_the_front_leaves_out_what_another_beats() -> None:
    points = [(0.1, 5.0), (0.2, 2.0), (0.2, 4.0), (0.3, 3.0), (0.9, 0.0)]
    assert front(points, ("lower", "lower")) == [(0.1, 5.0), (0.2, 2.0), (0.9, 0.0)]
    assert front(points, ("lower", "higher")) == [(0.1, 5.0)]
    assert front(points, ("none", "lower")) == []


def test_robustness_orders_channels_from_fine_to_coarse(draw: Callable[..., Drawing]) -> None:
    drawing = draw("robustness")
    assert drawing.warnings == ("Blur, jpeg:75; Identity, jpeg:75: 2 pairs failed.",)
    (ax,) = drawing.figure.axes
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["png", "jpeg:75"]
    drawn = {c.get_label(): list(c[0].get_ydata()) for c in ax.containers}
    assert drawn == {"Identity": [0.9, 0.5], "Blur": [0.5, pytest.approx(0.1)]}
    channels = ["resize:0.5+jpeg:75", "webp:80", "jpeg:50", "float", "jpeg:95", "png"]
    assert sorted(channels, key=coarseness) == [
        "float", "png", "jpeg:95", "jpeg:50", "webp:80", "resize:0.5+jpeg:75",
    ]  # fmt: skip


def test_ablation_has_a_bar_per_variant(draw: Callable[..., Drawing]) -> None:
    (ax,) = draw("ablation").figure.axes
    heights = [patch.get_height() for patch in ax.patches if isinstance(patch, Rectangle)]
    assert heights == [pytest.approx(0.3), pytest.approx(1.3)]


def test_maps_draw_the_stored_points(draw: Callable[..., Drawing]) -> None:
    first = draw("tsne").figure.axes[0]
    clouds = [c for c in first.collections if isinstance(c, PathCollection)]
    stored = map_scores()["map"]
    for cloud, points in zip(clouds, stored, strict=True):
        np.testing.assert_allclose(np.asarray(cloud.get_offsets()), points)
    people = draw("identity-map").figure.axes[0].collections
    expected = map_scores()["tsne2"]
    np.testing.assert_allclose(np.asarray(people[1].get_offsets()), expected[:2, 1])
    assert sum(len(cloud.get_offsets()) for cloud in people) == 2 * 3
    deep = draw("identity-map", projection="pca", dims=3).figure.axes[0].collections
    drawn = np.asarray(deep[0]._offsets3d)  # type: ignore[attr-defined]  # it has no getter
    np.testing.assert_allclose(drawn.T, map_scores()["pca3"][:2, 0])


# ------------------------------------------------------------------------------- style and warnings
def test_no_text_is_too_small_and_the_width_is_that_of_a_column(
    draw: Callable[..., Drawing],
) -> None:
    for kind in ("roc", "pareto", "identity-map"):
        figure = draw(kind).figure
        assert figure.get_figwidth() * 2.54 == pytest.approx(8.8)
        assert min(text.get_fontsize() for text in figure.findobj(Text)) >= 7


def test_what_weakens_a_number_stands_in_the_figure(
    draw: Callable[..., Drawing], tmp_path: Path
) -> None:
    weak = "The channel 'float' publishes images that no recipient ever has."
    white = of_protocol("lfw-tar", "blur", metrics=(metric(0.5, white_box=True),), warnings=(weak,))
    store.save(white, {"dlib-resnet": pair_scores(0)}, tmp_path)
    store.save(of_protocol("lfw-tar", "identity"), {"dlib-resnet": pair_scores(1)}, tmp_path)
    drawing = draw("roc", tmp_path)
    assert drawing.warnings == (
        f"Blur: {weak}",
        "Blur: White box: the method was optimised against Dlib-Resnet.",
    )
    said = " ".join(" ".join(texts(drawing.figure)).split())
    assert all(warning in said for warning in drawing.warnings)


def test_few_samples_are_told(draw: Callable[..., Drawing], tmp_path: Path) -> None:
    result = of_protocol("lfw-tar", "blur")
    few = {judge: counts.model_copy(update={"used": 38}) for judge, counts in result.counts.items()}
    store.save(result.model_copy(update={"counts": few}), {"dlib-resnet": pair_scores(0)}, tmp_path)
    assert draw("roc", tmp_path).warnings == ("Few samples: 38 pairs.",)


def test_variants_are_told_apart_by_settings_and_not_by_hashes(
    draw: Callable[..., Drawing], tmp_path: Path
) -> None:
    for checkpoint in ("a", "b"):
        weights = {"net": checkpoint * 64}
        method = make_method("g2face", config={"checkpoint": checkpoint}, weights=weights)
        store.save(
            make_result(method, protocol=PluginRef(name="ablation", version=1)), {}, tmp_path
        )
    labels = texts(draw("ablation", tmp_path).figure)
    assert {"G2Face (checkpoint a)", "G2Face (checkpoint b)"} <= set(labels)


# ------------------------------------------------------------------------------------ command line
def test_all_draws_every_kind_and_says_what_it_left_out(
    folder: Path, tmp_path: Path, anonbench: Callable[..., Any]
) -> None:
    done = anonbench("plot", "all", folder, "--out", tmp_path / "out", "--format", "svg")
    assert done.code == 0
    drawn = [tmp_path / "out" / f"{name}.svg" for name in KINDS]
    *lines, skipped = done.out.splitlines()
    assert lines == list(map(str, drawn))
    assert all("<svg" in file.read_text(encoding="utf-8") for file in drawn)
    assert skipped.startswith("skipped identity-map-3d: ")
    assert "have 'tsne3'" in skipped
    captions = (tmp_path / "out" / "captions.txt").read_text(encoding="utf-8")
    assert [line for line in captions.splitlines() if line.endswith(".svg")] == [
        file.name for file in drawn
    ]


def test_all_fails_where_there_is_nothing_to_draw(
    tmp_path: Path, anonbench: Callable[..., Any]
) -> None:
    store.save(make_result(protocol=PluginRef(name="recovery", version=1)), {}, tmp_path)
    done = anonbench("plot", "all", tmp_path, "--out", tmp_path / "out")
    assert done.code == 2
    assert done.out.count("skipped ") == len(KINDS) + 1
    assert "No figure was drawn." in done.err
    assert not (tmp_path / "out").exists()


def test_recovered_probes_are_a_dotted_line_of_the_same_colour(tmp_path: Path) -> None:
    published, recovered = pair_scores(0), pair_scores(1)
    both = published | {
        f"{name}_recovered": recovered[name] for name in ("distance", "found_probe")
    }
    for method in ("identity", "blur"):
        store.save(of_protocol("lfw-tar", method), {"dlib-resnet": both}, tmp_path)
    source = open_source(tmp_path, store.load_folder(tmp_path), Choice())
    (panel,) = KINDS["roc"].draw(source).figure.axes
    (dotted,) = [line for line in panel.lines if line.get_linestyle() == ":"]
    (solid,) = [line for line in panel.lines if line.get_label() == "Blur"]
    assert dotted.get_color() == solid.get_color()
    assert_allclose(dotted.get_xydata().T, roc_points(stored_pairs(recovered, "fallback")))


def test_versions_of_the_protocol_share_a_panel(tmp_path: Path) -> None:
    for version, method in enumerate(("identity", "blur"), start=1):
        made = of_protocol("lfw-tar", method)
        protocol = made.protocol.model_copy(update={"version": version})
        changed = made.model_copy(update={"protocol": protocol})
        store.save(changed, {"dlib-resnet": pair_scores(version)}, tmp_path)
    source = open_source(tmp_path, store.load_folder(tmp_path), Choice())
    assert len(KINDS["roc"].draw(source).figure.axes) == 1


@pytest.mark.parametrize(
    ("ending", "start"), [(".pdf", b"%PDF"), (".svg", b"<?xml"), (".png", b"\x89PNG")]
)
def test_two_runs_give_the_same_bytes(
    folder: Path, tmp_path: Path, anonbench: Callable[..., Any], ending: str, start: bytes
) -> None:
    outs = [tmp_path / f"{name}{ending}" for name in "ab"]
    for out in outs:
        done = anonbench("plot", "bits", folder, "--out", out)
        assert done.code == 0
    first, second = (out.read_bytes() for out in outs)
    assert first == second
    assert first.startswith(start)


@pytest.mark.parametrize(
    ("kind", "protocol"),
    [
        ("ablation", "ablation"),
        ("bits", "password"),
        ("det", "lfw-tar"),
        ("identity-map", "identity-map"),
        ("keys", "key-sensitivity"),
        ("pareto", "lfw-tar"),
        ("robustness", "lfw-tar"),
        ("roc", "lfw-tar"),
        ("tsne", "diversity"),
    ],
)
def test_what_is_missing_is_named_with_the_protocol_to_run(
    tmp_path: Path, anonbench: Callable[..., Any], kind: str, protocol: str
) -> None:
    store.save(make_result(protocol=PluginRef(name="recovery", version=1)), {}, tmp_path)
    out = tmp_path / "figure.pdf"
    done = anonbench("plot", kind, tmp_path, "--out", out)
    assert done.code == 2
    printed = done.err
    assert "It has results of: recovery" in printed
    assert f"anonbench run --method blur --protocol {protocol} --suite demo " in printed
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("rok", "--out", "x.pdf"), "Did you mean roc?"),
        (("roc", "--out", "x.jpg"), "cannot be written as 'x.jpg'"),
        (("bits", "--out", "x.pdf", "--dims", "3"), "It is an option of: identity-map."),
        (("bits", "--out", "x.pdf", "--format", "svg"), "--format is an option of `all`."),
        (("all", "--out", "x", "--dims", "3"), "`all` has no --dims."),
        (("roc", "--out", "x.pdf", "--method", "blurr"), "There are: blur, identity."),
        (("pareto", "--out", "x.pdf", "--x", "tar"), "does not name a metric"),
        (("pareto", "--out", "x.pdf", "--x", "lfw-tar/eer"), "There are: lfw-tar/tar/dlib-resnet."),
    ],
)
def test_wrong_options_are_explained(
    folder: Path, anonbench: Callable[..., Any], arguments: tuple[str, ...], expected: str
) -> None:
    kind, *others = arguments
    done = anonbench("plot", kind, folder, *others)
    assert done.code == 2
    assert expected in done.err


def test_without_a_password_the_methods_that_have_one_are_named(
    tmp_path: Path, anonbench: Callable[..., Any]
) -> None:
    nothing = make_metric(None, "", name="wrong-key-mae", reason="its key is no secret")
    store.save(of_protocol("key-sensitivity", "blur", metrics=(nothing,)), {}, tmp_path)
    done = anonbench("plot", "keys", tmp_path, "--out", tmp_path / "x.pdf")
    assert done.code == 2
    assert "has a password" in done.err
    assert "There is one in: fit, riddle, " in done.err


def test_one_channel_is_no_robustness(tmp_path: Path, anonbench: Callable[..., Any]) -> None:
    store.save(of_protocol("lfw-tar", "blur"), {}, tmp_path)
    done = anonbench("plot", "robustness", tmp_path, "--out", tmp_path / "x.pdf")
    assert done.code == 2
    printed = done.err
    assert "have one channel, png" in printed
    assert "--channel jpeg:75" in printed
