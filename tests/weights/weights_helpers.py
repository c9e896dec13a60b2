"""What the tests of weights share."""

import hashlib
import threading
from dataclasses import dataclass, field

from anonbench.weights import cache


@dataclass
class Web:
    """What the server has and how it behaves; `requests` are the paths and ranges asked for."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    cut_after: list[int] = field(default_factory=list)  # bytes sent, per response, then hang up
    hang_up: threading.Event = field(default_factory=threading.Event)  # unset: first stall
    requests: list[tuple[str, str | None]] = field(default_factory=list)


def entry(name: str, content: bytes, *mirrors: str, pinned: bool = True) -> str:
    """The catalogue text of a file artefact with that content."""
    pin = f'sha256 = "{hashlib.sha256(content).hexdigest()}"\nbytes = {len(content)}'
    return f"""
[{name}]
kind = "file"
what = "a test file"
licence = "MIT"
citation = "nobody"
research_only = false
file = "{name}.bin"
mirrors = {list(mirrors)}
{pin if pinned else ""}
"""


def downloads_left() -> list[str]:
    """Names of all files waiting in the download folder."""
    return sorted(file.name for file in (cache.root() / ".downloads").rglob("*") if file.is_file())
