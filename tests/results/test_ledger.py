"""The ledger: what counts as measured, what is needed, and what is ill-defined."""

from datetime import UTC, datetime

import pytest
from result_factory import make_metric, make_result

from anonbench import registry, weights
from anonbench.cards import DatasetCard
from anonbench.results.ledger import BareMachine, Line, Machine, counts, ledger, missing
from anonbench.results.published import PublishedTable, published, table
from anonbench.results.record import DatasetRef, JudgeRef, PluginRef, Result, Setup
from anonbench.weights.filled import STAMP

JUDGE = "facenet-vggface2"


def reproduction(**changes) -> Result:
    """LFW's protocol on unchanged faces, by all that the paper's suite says."""
    protocol = registry.protocols.parse("lfw-tar", "paper")
    method = registry.methods.parse("identity", "paper")
    judge, data = registry.judges.card(JUDGE), registry.datasets.card("lfw")
    result = make_result("identity", (make_metric(0.991, JUDGE),))
    fields = {
        "suite": "paper",
        "protocol": PluginRef(name="lfw-tar", version=protocol.version, config=protocol.config),
        "method": result.method.model_copy(update={"version": method.version}),
        "dataset": DatasetRef(name="lfw", title="LFW", version=data.version, config=data.config,
                              manifest="a" * 64, files=13233),
        "judges": (JudgeRef(name=JUDGE, title="FaceNet", version=judge.version,
                            config=judge.config, training_data="faces"),),
    }  # fmt: skip
    return result.model_copy(update={**fields, **changes})


def line(results=(), machine=None, table_id="g2face-table-1", place=0) -> Line:
    value = list(table(table_id).values())[place]
    return ledger([value], results, machine or BareMachine())[0]


def setup(**changes) -> Setup:
    return reproduction().setup.model_copy(update=changes)


def test_a_result_that_differs_in_nothing_is_a_measurement_with_its_distance() -> None:
    found = line([reproduction()])
    assert found.status == "measured"
    assert found.ours and found.ours.result == reproduction().id
    assert (found.ours.value, found.ours.channel, found.ours.seed) == (0.991, "png", 0)
    assert found.ours.delta == pytest.approx(0.991 - 0.986)


CONFIG = reproduction().protocol.config
DIFFERENT = {
    "suite demo": {"suite": "demo"},
    "dataset orl": {"dataset": make_result().dataset},
    "limit 30": {"setup": setup(limit=30)},
    "channel jpeg:75": {"setup": setup(channel="jpeg:75")},
    "presentation paste": {"setup": setup(presentation="paste")},
    "detector mtcnn": {"setup": setup(detector=PluginRef(name="mtcnn", version=1))},
    "partial result": {"status": "partial"},
    "protocol v1": {"protocol": PluginRef(name="lfw-tar", version=1, config=CONFIG)},
    "far=0.01": {"protocol": PluginRef(name="lfw-tar", version=2, config={**CONFIG, "far": 0.01})},
    "flip=True": {"judges": (reproduction().judges[0].model_copy(
        update={"config": {"flip": True}}),)},
    "weights of a test fill": {"judges": (reproduction().judges[0].model_copy(
        update={"weights": {JUDGE: f"{STAMP} {'b' * 64}"}}),)},
}  # fmt: skip


@pytest.mark.parametrize("difference", DIFFERENT)
def test_one_difference_is_named_and_no_reproduction(difference: str) -> None:
    found = line([reproduction(**DIFFERENT[difference])])
    assert found.ours is None
    assert found.status == "runnable"
    (other,) = found.others
    assert other.differs == (difference,)
    assert other.delta is None
    assert other.other_data == (difference in ("dataset orl", "limit 30"))


def test_effort_that_changes_no_value_is_no_difference() -> None:
    config = {**CONFIG, "bootstrap": 10}
    assert line([reproduction(protocol=PluginRef(name="lfw-tar", version=2, config=config))]).ours


def test_another_judges_number_is_no_measurement_of_this_one() -> None:
    other = make_result("identity", (make_metric(0.5, "dlib-resnet"),))
    result = reproduction(metrics=other.metrics, judges=other.judges)
    assert line([result]).others[0].differs == ("judge dlib-resnet",)
    assert line([reproduction()], place=1).ours is None


def test_a_metric_without_a_value_and_another_protocol_measure_nothing() -> None:
    empty = make_metric(None, JUDGE, reason="no faces")
    other = PluginRef(name="lfw-tar-allpairs", version=2)
    found = line([reproduction(metrics=(empty,)), reproduction(protocol=other)])
    assert found.ours is None and not found.others


def test_of_several_measurements_the_newest_counts() -> None:
    newer = reproduction(created=datetime(2027, 1, 1, tzinfo=UTC), id="f" * 64)
    found = line([reproduction(), newer])
    assert found.ours and found.ours.result == "f" * 64


def test_what_the_authors_measured_on_floats_is_compared_on_floats() -> None:
    def password(channel: str) -> Result:
        card = registry.protocols.parse("password", "paper")
        method = registry.methods.parse("g2face", "paper")
        data = registry.datasets.card("celeba-hq")
        made = make_result("g2face", (make_metric(0.0002, "", name="bit-error-rate"),))
        return made.model_copy(update={
            "suite": "paper", "judges": (),
            "protocol": PluginRef(name="password", version=card.version, config=card.config),
            "method": made.method.model_copy(
                update={"version": method.version, "config": method.config}),
            "dataset": DatasetRef(name="celeba-hq", title="", version=data.version,
                                  config=data.config, manifest="a" * 64, files=30000),
            "setup": made.setup.model_copy(update={"channel": channel}),
        })  # fmt: skip

    assert line([password("float")], table_id="g2face-table-4").status == "measured"
    png = line([password("png")], table_id="g2face-table-4")
    assert png.others[0].differs == ("channel png",)
    assert "--channel float" in png.command


# ---------------------------------------------------------------------------- what is ill-defined
def test_an_ill_defined_number_stays_so_whatever_is_measured() -> None:
    flops = line(table_id="g2face-table-7")
    assert (flops.printed.value, flops.status) == (38.3, "ill-defined")
    assert "does not run" in flops.doubts[0].why and "P9" in flops.doubts[0].source
    parameters = line(table_id="g2face-table-7", place=1)
    assert parameters.status == "runnable"
    assert parameters.command == "anonbench run --method ciagan --protocol complexity --suite paper"


def test_a_doubt_about_the_spread_leaves_the_number() -> None:
    found = line()
    assert found.status == "runnable"
    assert not found.doubts
    assert "±" in found.spread_doubts[0].why


def test_undisclosed_models_and_norms_are_ill_defined() -> None:
    by_column = {
        (name, column): {found.status for found in lines if found.printed.column == column}
        for name in ("g2face-table-3", "g2face-table-5", "drdpgan-table-2")
        for lines in [ledger(table(name).values(), (), BareMachine())]
        for column in {found.printed.column for found in lines}
    }
    ill = {"ill-defined"}
    assert by_column["g2face-table-5", "LPIPS"] == ill
    assert by_column["drdpgan-table-2", "Anonymization Cosine Similarity"] == ill
    assert by_column["g2face-table-3", "Shape Dist. DECA"] == ill
    assert by_column["g2face-table-3", "Landmark Dist. Dlib"] == {"needs"}


def test_every_doubt_says_why_and_where_that_is_from() -> None:
    doubts = {doubt for value in published() for doubt in (*value.disputed, *value.unclear)}
    assert len(doubts) > 10
    assert all(len(doubt.why) > 20 and len(doubt.source) > 5 for doubt in doubts)


def test_a_doubt_about_a_column_that_is_not_there_is_an_error() -> None:
    fields = table("drdpgan-table-3").model_dump()
    doubt = {"why": "misprint", "source": "the paper", "columns": ("Bit Error",)}
    fields["rows"][0]["disputed"] = (doubt,)
    with pytest.raises(ValueError, match="no column 'Bit Error'"):
        PublishedTable.model_validate(fields)


# ------------------------------------------------------------------------------- what it takes
class Stocked(BareMachine):
    """Has these artefacts and datasets."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def has_artefact(self, name: str) -> bool:  # type: ignore[override]
        return name in self.names

    def has_data(self, card: DatasetCard) -> bool:
        return card.name in self.names or super().has_data(card)


def names(found: Line) -> set[str]:
    return {need.name for need in found.needs}


def test_needs_are_those_of_the_papers_checkpoint_the_judge_and_the_data() -> None:
    ours = next(v for v in published() if v.table == "g2face-table-2" and v.method == "g2face"
                and v.judge == "arcface-r100-ms1mv3")  # fmt: skip
    (bare,) = ledger([ours], (), BareMachine())
    official = set(registry.methods.parse("g2face:checkpoint=official").weights)
    assert names(bare) == official | {"arcface-r100-ms1mv3", "celeba-hq"}
    assert all(need.by_hand and need.how for need in bare.needs)
    (half,) = ledger([ours], (), Stocked(*official, "celeba-hq"))
    assert names(half) == {"arcface-r100-ms1mv3"}
    (full,) = ledger([ours], (), Stocked(*names(bare)))
    assert full.status == "runnable"


def test_a_method_that_nobody_wrote_is_needed_itself() -> None:
    gafni = next(v for v in published() if v.method == "gafni")
    (found,) = ledger([gafni], (), BareMachine())
    assert found.needs[0][:3] == ("method", "gafni", False)
    assert not found.command


def test_rows_of_the_ablation_need_their_own_training(tmp_path, monkeypatch) -> None:
    rows = [v for v in published() if v.table == "g2face-table-6" and v.column == "Ano."]
    lines = ledger(rows, (), BareMachine())
    for row, found in zip(rows, lines, strict=True):
        own = "g2face" if row.variant == "GENP+GEOP+IFF" else f"{row.variant}.safetensors"
        assert names(found) & {"g2face", f"{row.variant}.safetensors"} == {own}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "GENP.safetensors").touch()
    (found,) = ledger(rows[:1], (), Machine())
    assert "GENP.safetensors" not in names(found)
    assert "--method g2face:bundle=GENP.safetensors " in found.command


def test_every_number_has_one_status_and_all_are_there() -> None:
    lines = ledger(published(), (), BareMachine())
    assert sum(counts(lines).values()) == len(published()) == 201
    assert counts(lines)["measured"] == 0
    waiting = missing(lines)
    assert all(n <= counts(lines)["needs"] for n in waiting.values())
    celeba = next(n for need, n in waiting.items() if need.name == "celeba-hq")
    assert celeba == sum(f.status == "needs" and f.printed.dataset == "celeba-hq" for f in lines)


def test_every_file_that_a_person_must_bring_is_in_the_catalogue() -> None:
    lines = ledger(published(), (), BareMachine())
    brought = {n.name for found in lines for n in found.needs if n.kind == "weights"}
    known = {name for name, entry in weights.catalogue().items() if entry.page}
    assert {name for name in brought if not name.endswith(".safetensors")} <= known
