"""Kill a run with SIGKILL at random moments, run its command again, and compare what comes out.

Run: python tests/bench/crash.py [--kills 50] [--seed 0] [--workers 2] [--real]

Every kill has a world of its own: a run is started, its first process is killed at a random moment
between its first stage and its end, and the same command is run again. Half of the runs judge
crops, half pasted pictures. What must hold, or the report says FAILED: results and scores are
those of a run that nobody killed, byte for byte but for timing; no more was computed twice than
`crash_world.bound` says; worker processes end with their parent. `--real` takes demo methods and
judges on ORL in place of the toys; what they compute is not counted.
"""

import argparse
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from crash_world import TOY_RUN, World, bound, opened_stages, paint

from anonbench.paths import home

REAL_RUN = (
    *("--method", "pixelate,blur", "--dataset", "orl", "--limit", "96"),
    *("--judge", "dlib-resnet,lpips-alex", "--device", "cpu"),
    *("--protocol", "celebahq-similarity:images=all:seeds=1,recovery:images=all"),
)
PRESENTATIONS = ("crop", "paste")


@dataclass(frozen=True)
class Reference:
    """A run that nobody killed.

    Attributes:
        world: Its world.
        first: Seconds until its first stage.
        seconds: Seconds until its end.
    """

    world: World
    first: float
    seconds: float


@dataclass(frozen=True)
class Kill:
    """What became of a run that was killed.

    Attributes:
        moment: When, in seconds.
        stage: What it was doing.
        orphans: Seconds for which worker processes outlived it.
        twice: Images computed twice, by what was computed; None where nobody counts.
        leftovers: Temporary files that it left.
        differs: Files that are not as they should be.
    """

    moment: float
    stage: str
    orphans: float
    twice: Counter[str] | None
    leftovers: int
    differs: tuple[str, ...]

    @property
    def images(self) -> int:
        """Images computed twice; bits are asked for with the image that hides them."""
        if self.twice is None:
            return 0
        return self.twice.total() - min(self.twice["anonymized"], self.twice["hidden"])

    def sound(self, allowed: int) -> bool:
        return not self.differs and self.images <= allowed


def undisturbed(world: World) -> Reference:
    """Run a command once, and see when it gets to work."""
    started = time.monotonic()
    process = world.start()
    while not opened_stages(world.home) and process.poll() is None:
        time.sleep(0.01)
    first = time.monotonic() - started
    out, err = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{out}\n{err}")
    return Reference(world, first, time.monotonic() - started)


def killed(world: World, reference: Reference, moment: float) -> Kill | None:
    """Kill a run, run its command again, and compare; None where it had ended before."""
    process = world.start()
    time.sleep(moment)
    if process.poll() is not None:
        return None
    process.kill()
    orphans = world.seconds_to_silence()
    process.communicate()
    stage, leftovers = world.stage(), len(world.leftovers())
    world.finish()
    expected, got = reference.world.results(), world.results()
    differs = [name for name in expected.keys() | got.keys() if expected.get(name) != got.get(name)]
    toys = reference.world.counts()
    twice = world.counts() - toys if toys else None
    return Kill(moment, stage, orphans, twice, leftovers, tuple(sorted(differs)))


def report(kills: Sequence[Kill], allowed: int) -> str:
    """The table and the verdict, as Markdown."""
    lines = ["| killed after | during | computed twice | workers gone after | temporary files | |"]
    lines.append("| ---: | --- | --- | ---: | ---: | --- |")
    for kill in kills:
        verdict = "same result" if kill.sound(allowed) else f"FAILED {' '.join(kill.differs)}"
        lines.append(
            f"| {kill.moment:.1f} s | {kill.stage} | {_told(kill.twice)} | {kill.orphans:.2f} s "
            f"| {kill.leftovers} | {verdict} |"
        )
    good = sum(kill.sound(allowed) for kill in kills)
    lines.append("")
    lines.append(
        f"{good} of {len(kills)} killed runs ended with the result of a run that nobody killed."
    )
    if any(kill.twice is not None for kill in kills):
        most = max(kill.images for kill in kills)
        lines.append(f"At most {most} images were computed twice; {allowed} are allowed.")
    return "\n".join(lines)


def _told(twice: Counter[str] | None) -> str:
    if twice is None:
        return "not counted"
    return ", ".join(f"{number} {what}" for what, number in twice.items()) or "nothing"


def crash(worlds: Sequence[World], kills: int, seed: int) -> list[Kill]:
    """Kill so many runs of the worlds' commands in turn, each in a new world beside them."""
    references = [undisturbed(world) for world in worlds]
    draw, done = random.Random(seed), list[Kill]()
    for number in range(10 * kills):
        reference = references[number % len(references)]
        moment = draw.uniform(reference.first, reference.seconds)
        folder = reference.world.folder.with_name(f"kill-{number}")
        kill = killed(replace(reference.world, folder=folder), reference, moment)
        shutil.rmtree(folder)
        if kill is not None:
            done.append(kill)
            print(f"{len(done)} of {kills}: {kill}", flush=True)
        if len(done) == kills:
            break
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--real", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        own = ("--data-root", str(paint(folder / "people")))
        command = REAL_RUN if options.real else (*TOY_RUN, *own)
        more = ("--workers", str(options.workers), "--presentation")
        weights = home() / "weights" if options.real else None
        worlds = [World(folder / one, (*command, *more, one), weights) for one in PRESENTATIONS]
        kills = crash(worlds, options.kills, options.seed)
    allowed = bound(options.workers)
    print(report(kills, allowed))
    raise SystemExit(not all(kill.sound(allowed) for kill in kills))


if __name__ == "__main__":
    main()
