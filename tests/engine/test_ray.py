"""Ray's actors in place of this process: the same rows, whatever dies meanwhile.

Starting Ray and actors takes seconds, so most tests share two actors.
"""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from anonbench import errors, registry
from anonbench.engine.faces import Item, Originals
from anonbench.engine.job import Cluster, RunConfig
from anonbench.engine.steps import Prepared, Stage
from anonbench.engine.store import Row, Store
from anonbench.errors import BadConfig, MissingExtra, UserError

ROOT = Path(__file__).parents[2]
PLUGINS = os.pathsep.join(str(ROOT / part) for part in ("tests/engine", "tests/toybench"))
CONFIG = RunConfig(
    methods=("toy-same",),
    protocols=("lfw-tar",),
    device="cpu",
    workers=1,
    cluster=Cluster(num_actors=2),
)


@pytest.fixture(scope="module")
def ray():
    """Ray on this machine, for all tests; actors find this module and the toys."""
    module = pytest.importorskip("ray", reason="needs the extra [ray]")
    known = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = PLUGINS
    os.environ.update({"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"})
    module.init(
        address="local",
        num_cpus=4,  # two actors that stay, and two of a run
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=100 * 2**20,
    )
    yield module
    module.shutdown()
    os.environ.pop("PYTHONPATH")
    if known is not None:
        os.environ["PYTHONPATH"] = known


@pytest.fixture(scope="module")
def told():
    """What the shared engine told: warnings, and notes."""
    return [], []


@pytest.fixture(scope="module")
def engine(ray, told):
    """Two actors that stay."""
    from anonbench.engine.ray import Ray

    warnings, notes = told
    made = Ray(CONFIG, warnings.append, notes.append)
    yield made
    made.close()


@dataclass(frozen=True)
class Deed(Stage):
    """A stage without images, in which something may happen at each sample; `how` says what."""

    how: str = ""
    folder: str = ""
    name = "deed"
    networks = False

    def prepare(self, item: Item) -> Prepared:
        what, _, at = self.how.partition(":")
        if what and (not at or item.id == at):
            {"die": self._die, "die once": self._die_once, "raise": _raise, "err": _err}[what]()
        return Prepared(item.id, {"process": np.array(os.getpid())})

    def _die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def _die_once(self) -> None:
        try:
            Path(self.folder, "dead").touch(exist_ok=False)
        except FileExistsError:
            return
        self._die()


def _raise() -> None:
    raise errors.UnknownName("thing", "thnig", ["thing"])


def _err() -> None:
    raise ZeroDivisionError("a bug")


def deed(how: str = "", folder: object = "") -> Deed:
    images = Originals(registry.datasets.card("folder"), str(ROOT))
    if how == "slow":
        return Slow("slow", {}, images)
    return Deed("deed", {}, images, how=how, folder=str(folder))


class Slow(Deed):
    """Takes a while for each sample."""

    def prepare(self, item: Item) -> Prepared:
        time.sleep(0.05)
        return super().prepare(item)


def batches(number: int = 6, size: int = 4):
    return [[Item(f"{b}-{i}") for i in range(size)] for b in range(number)]


def rows(engine, stage, given) -> dict[str, Row]:
    done = [row for done in engine.run(stage, given, True) for row in done.rows]
    assert len({row.id for row in done}) == len(done)
    return {row.id: row for row in done}


def ids(given) -> set[str]:
    return {item.id for batch in given for item in batch}


def test_both_actors_compute_each_sample_once_and_none_here(engine) -> None:
    given = batches(12)
    done = rows(engine, deed("slow"), given)
    assert done.keys() == ids(given)
    processes = {int(row["process"]) for row in done.values()}
    assert len(processes) == 2
    assert os.getpid() not in processes
    assert engine.memory_mb > 100


def test_few_batches_are_ahead_of_the_actors(engine) -> None:
    taken = 0

    def counted():
        nonlocal taken
        for batch in batches(20):
            taken += 1
            yield batch

    running = engine.run(deed(), counted(), True)
    next(running)
    assert taken <= 2 * 2 + 2  # what both have and wait for, the one that is done, the next one
    running.close()


def test_the_batches_of_an_actor_that_dies_are_computed_by_another(engine, told, tmp_path) -> None:
    given = batches()
    done = rows(engine, deed("die once:1-2", tmp_path), given)
    assert (tmp_path / "dead").exists()
    assert done.keys() == ids(given)
    warnings = [text for text in told[0] if "died during 'deed'" in text]
    assert warnings
    assert not any("\n" in text for text in warnings)
    told[0].clear()


def test_an_actor_that_ray_kills_is_replaced(ray, engine, told) -> None:
    given = batches(10)
    running = engine.run(deed("slow"), given, True)
    first = next(running)
    ray.kill(engine._crew[0].actor)
    later = [row for done in running for row in done.rows]
    assert {row.id for row in (*first.rows, *later)} == ids(given)
    assert any("died during" in text for text in told[0])
    told[0].clear()


def test_a_batch_that_kills_every_actor_ends_the_run_and_is_named(engine, told) -> None:
    with pytest.raises(UserError, match="0-0 to 0-3") as caught:
        rows(engine, deed("die:0-1"), batches(1))
    assert "3 actors died during 'deed'" in str(caught.value)
    assert rows(engine, deed(), batches(2)).keys() == ids(batches(2))
    told[0].clear()


def test_an_error_of_the_user_arrives_as_it_is(engine) -> None:
    with pytest.raises(errors.UnknownName) as caught:
        rows(engine, deed("raise:2-0"), batches())
    assert caught.value.what == "There is no thing named 'thnig'."
    assert type(caught.value) is errors.UnknownName


def test_a_bug_arrives_with_its_traceback(engine) -> None:
    with pytest.raises(ZeroDivisionError, match="a bug") as caught:
        rows(engine, deed("err:2-0"), batches())
    assert "in _err" in "".join(caught.value.__notes__)


def test_a_node_without_the_dataset_is_named(engine) -> None:
    images = Originals(registry.datasets.card("folder"), "/nowhere")
    with pytest.raises(errors.BadData, match=r"not in /nowhere on the node \S+"):
        rows(engine, Deed("deed", {}, images), batches())


def scores(outcome) -> bytes:
    return (outcome.path.parent / "scores" / f"{outcome.path.stem}.npz").read_bytes()


def facts(outcome) -> dict:
    record = json.loads(outcome.path.read_text())
    for stage in record["stages"]:
        del stage["seconds"], stage["network_seconds"]
    for of_a_run in ("created", "wall_seconds", "peak_memory_mb"):
        del record[of_a_run]
    return record


def test_results_are_those_of_this_process_byte_for_byte(ray, toy_run, tmp_path) -> None:
    options = {"methods": ("toy-vault",), "protocols": ("lfw-tar:far=0.05", "recovery")}
    options |= {"judges": ("toy-recogniser", "toy-perceptual"), "batch_size": 8}
    here = toy_run(**options)
    there = toy_run(
        **options,
        overwrite="always",
        output=tmp_path / "there",
        cluster={"num_actors": 2},
        workers=1,
    )
    for local, other in zip(here, there, strict=True):
        assert other.result.status == "complete", other.error
        assert facts(local) == facts(other)
        assert scores(local) == scores(other)


STOPPED = """
import faulthandler, signal, sys
faulthandler.register(signal.SIGUSR1)
from rich.console import Console
from test_ray import CONFIG, Cluster, deed
from anonbench.engine.execute import executor
from anonbench.engine.progress import Progress

config = CONFIG.model_copy(update={"batch_size": 4, "cluster": Cluster(num_actors=1)})
try:
    with executor(config, Progress(Console(stderr=True))) as computing:
        computing.run(deed("slow"), [f"{number:04d}" for number in range(2000)])
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_ctrl_c_leaves_what_was_computed_and_no_process(anonbench_home: Path) -> None:
    pytest.importorskip("ray", reason="needs the extra [ray]")
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED],
        env=os.environ | {"PYTHONPATH": PLUGINS},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        until(lambda: any(anonbench_home.rglob("*.shard")) or process.poll() is not None, 90)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: Ray's processes get it, too
        said = ended(process, 150)  # it took 3 s, and once more than 60
        assert process.returncode == 130, said
        assert "Traceback" not in said
        until(lambda: not of_session(process.pid), 20)
    finally:
        for left in of_session(process.pid):
            os.kill(left, signal.SIGKILL)
    rows = Store(print).artefact("deed", {})
    kept = 2000 - len(rows.missing([f"{number:04d}" for number in range(2000)]))
    assert 64 <= kept < 2000


def test_ctrl_c_while_actors_are_ended_changes_nothing() -> None:
    from anonbench.engine.ray import _own_signals

    before = signal.getsignal(signal.SIGINT)
    with _own_signals(deaf=True):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
    assert signal.getsignal(signal.SIGINT) is before


def until(holds, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)


def ended(process: subprocess.Popen[bytes], seconds: float) -> str:
    """What it wrote until its end; where it does not end, also where it stands."""
    try:
        return process.communicate(timeout=seconds)[1].decode()
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGUSR1)
        time.sleep(1)
        for left in of_session(process.pid):
            os.kill(left, signal.SIGKILL)
        return process.communicate()[1].decode()


def of_session(leader: int) -> list[int]:
    """The processes that one started, and theirs."""
    found = []
    for process in (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()):
        with suppress(ProcessLookupError):
            if os.getsid(process) == leader:
                found.append(process)
    return found


@pytest.mark.parametrize("kind", errors.UserError.__subclasses__())
def test_every_error_of_the_user_can_be_sent(kind) -> None:
    given = {
        errors.UnknownName: ("judge", "arcfase", ["arcface"]),
        MissingExtra: ("ray", "ray", "--engine ray"),
    }.get(kind, ("what",))
    error = kind(*given)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (copy.what, copy.why, copy.mend, str(copy)) == (
        error.what,
        error.why,
        error.mend,
        str(error),
    )


def test_without_the_extra_there_is_one_clear_error(monkeypatch) -> None:
    from anonbench.engine.ray import Ray

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install 'anonbench\[ray\]'"):
        Ray(CONFIG, print, print)


def test_actors_are_told_their_share_of_a_gpu() -> None:
    pytest.importorskip("ray", reason="needs the extra [ray]")
    from anonbench.engine.ray import Ray

    cluster = Cluster(gpus_per_actor=0.25)
    options = Ray(
        CONFIG.model_copy(update={"cluster": cluster, "workers": 3}), print, print
    ).options
    assert (options["num_gpus"], options["num_cpus"]) == (0.25, 3)


def test_more_actors_than_there_is_room_for_are_refused(ray) -> None:
    from anonbench.engine.ray import Ray

    for wanted in ({"num_actors": 5}, {"gpus_per_actor": 1}):
        asked = Ray(CONFIG.model_copy(update={"cluster": Cluster(**wanted)}), print, print)
        with pytest.raises(BadConfig, match="room for"):
            next(asked.run(deed(), batches(), True))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--num-actors", "2"), "--num-actors needs Ray"),
        (("--address", "auto", "--gpus-per-actor", "1"), "--address, --gpus-per-actor needs Ray"),
        (("--engine", "spark"), "no engine 'spark'"),
        (("--engine", "ray", "--device", "cuda"), "without GPUs cannot compute on --device cuda"),
        (("--engine", "ray", "--gpus-per-actor", "1", "--device", "cpu"), "with GPUs cannot"),
        (("--engine", "ray", "--address", "auto", "--precision", "auto"), "--precision bf16"),
    ],
)
def test_options_that_contradict_each_other_are_refused(anonbench, given, said) -> None:
    done = anonbench("run", "--method", "identity", "--protocol", "lfw-tar", *given)
    assert done.code == 2
    assert said in " ".join(done.err.split())
