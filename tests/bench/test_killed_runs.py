"""Real processes that are stopped, killed, or meet each other: what is left, and what comes out."""

import os
import signal
import subprocess
import time
from pathlib import Path

import crash
import pytest
from crash_world import BATCH, World, bound, paint

from anonbench.engine.execute import SHARD_ROWS

pytestmark = [
    pytest.mark.skipif(
        not Path("/proc/self/environ").exists(),
        reason="needs /proc, to see processes that are left",
    ),
    pytest.mark.skipif(
        not os.environ.get("ANONBENCH_SLOW"),
        reason="kills real runs for minutes; ANONBENCH_SLOW=1 runs it",
    ),
]

OPTIONS = (
    *("--method", "toy-vault", "--protocol", "recovery:images=all", "--dataset", "folder"),
    *("--judge", "toy-recogniser,toy-perceptual", "--detector", "toy-detector"),
    *("--device", "cpu", "--batch-size", str(BATCH), "--workers", "2"),
)

DYING = """
import os, signal
from pathlib import Path
from anonbench.cli import main
replace, moment, suffix = Path.replace, "{moment}", "{suffix}"

def dying(self, target):
    target = Path(target)
    hit = target.suffix == suffix and ("runs" in target.parts) == (suffix != ".shard")
    if hit and moment == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    replace(self, target)
    if hit:
        os.kill(os.getpid(), signal.SIGKILL)

Path.replace = dying
main()
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("crash")
    world = World(folder / "whole", (*OPTIONS, "--data-root", str(paint(folder / "people"))))
    world.finish()
    return world


@pytest.fixture
def world(whole: World, tmp_path: Path) -> World:
    """The same world, before anything happened in it."""
    return World(tmp_path, whole.options)


def at_work(world: World) -> subprocess.Popen[str]:
    """A run whose worker processes are computing."""
    process = world.start()
    deadline = time.monotonic() + 120
    while not world.counts() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.poll() is None, process.communicate()
    return process


def stopped(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit status, and what the run said; it may not have broken down."""
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in out + err
    return process.returncode, err


def test_ctrl_c_stores_what_there_is_and_the_same_command_goes_on(
    whole: World, world: World
) -> None:
    process = at_work(world)
    process.send_signal(signal.SIGINT)
    code, said = stopped(process)
    assert code == 130
    assert "Stopped. The same command continues where it was." in said
    assert world.seconds_to_silence() < 10
    assert world.leftovers() == []
    world.finish()
    assert world.results() == whole.results()
    # What had reached the first process is kept, however little: no shard was in flight.
    assert sum((world.counts() - whole.counts()).values()) <= bound(2) - SHARD_ROWS


def test_ctrl_c_while_the_run_is_stopping_ends_it_at_once(world: World) -> None:
    """As a batch system begins, and a terminal goes on: that one tells all its processes."""
    process = at_work(world)
    process.terminate()
    time.sleep(0.02)
    for number in world.processes():
        os.kill(number, signal.SIGINT)
    code, _ = stopped(process)
    assert code in (128 + signal.SIGINT, 128 + signal.SIGTERM)
    assert world.seconds_to_silence() < 10


def test_a_worker_that_is_killed_costs_only_the_batches_in_flight(
    whole: World, world: World
) -> None:
    process = at_work(world)
    workers = [pid for pid in world.processes() if b"spawn_main" in _command(pid)]
    os.kill(workers[0], signal.SIGKILL)
    code, said = stopped(process)
    assert code == 0
    assert "A worker process died during" in said
    assert "there are 1 instead of 2" in " ".join(said.split())
    assert world.results() == whole.results()
    assert sum((world.counts() - whole.counts()).values()) <= 2 * 5 * BATCH


def test_two_runs_of_one_command_at_once_both_end_right(whole: World, world: World) -> None:
    both = [world.start(), world.start()]
    assert [stopped(process)[0] for process in both] == [0, 0]
    assert world.results() == whole.results()
    assert world.counts() == whole.counts()


def test_a_run_that_is_killed_while_it_writes_ends_with_the_same_result(
    whole: World, world: World
) -> None:
    for moment, suffix in [("before", ".shard"), ("after", ".npz")]:
        process = world.start("-c", DYING.format(moment=moment, suffix=suffix))
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        world.seconds_to_silence()
        assert not list(world.runs.rglob("*-*.json"))
    world.finish()
    assert world.results() == whole.results()
    assert sum((world.counts() - whole.counts()).values()) <= bound(2)


def test_a_run_that_is_killed_at_a_random_moment_is_reported_as_sound(
    whole: World, tmp_path: Path
) -> None:
    world = World(tmp_path / "whole", whole.options)
    (kill,) = crash.crash([world], kills=1, seed=1)
    assert kill.sound(bound(2)), crash.report([kill], bound(2))


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()
