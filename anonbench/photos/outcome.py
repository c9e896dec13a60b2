"""What became of each photo."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from anonbench.errors import BadConfig, BadImage

Status = Literal["done", "no face", "exists", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What became of one photo.

    Attributes:
        photo: The file that was read.
        status: Whether it was done; nothing is written otherwise.
        output: The PNG that was written.
        sidecar: The sidecar that was written.
        source: Where the crops came from that were recovered.
        faces: Number of faces.
        kept: Per face, the share of the crop's numbers that could be cut out of the anonymized
            photo exactly when it was written; empty for a method that cannot be undone.
        notes: What the user should know about it.
        reason: Why it was not done.
    """

    photo: Path
    status: Status
    output: Path | None = None
    sidecar: Path | None = None
    source: Literal["", "photo", "sidecar"] = ""
    faces: int = 0
    kept: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    reason: str = ""


def attempt(photo: Path, writes: list[Path], force: bool, work: Callable[[], Outcome]) -> Outcome:
    """Do the work on a photo; whatever is wrong with this photo alone becomes its outcome.

    Args:
        photo: The file to read.
        writes: Files that the work may write, or that would be wrong after it.
        force: Whether they may be there already.
        work: What is to be done.
    """
    there = [str(path) for path in writes if path.exists()]
    if there and not force:
        reason = f"{' and '.join(there)} exists already; --force overwrites."
        return Outcome(photo, "exists", reason=reason)
    try:
        return work()
    except (BadImage, BadConfig) as error:  # a record may hold settings that do not exist
        return Outcome(photo, "failed", reason=str(error))
