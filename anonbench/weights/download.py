"""Downloads over http(s) that go on where they stopped."""

import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from anonbench.errors import UserError
from anonbench.weights.progress import Bar, Progress

if TYPE_CHECKING:
    from requests import Response

ATTEMPTS = 4
PAUSE = 0.5  # seconds before the first repetition; doubled each time
TIMEOUT = (10, 60)  # seconds to connect, and between two bytes
CHUNK = 1 << 18


class DownloadFailed(UserError):
    """A URL that could not be downloaded."""


class _Interrupted(Exception):
    """A failure that may be gone at the next attempt."""


def download(url: str, folder: Path, progress: Progress) -> Path:
    """Download a URL into a folder, going on with what an earlier call left there.

    The incomplete file ends in `.part`; beside it stands the validator (`ETag` or
    `Last-Modified`) with which the server is asked whether the rest still belongs to it
    (`If-Range`, RFC 9110 section 13.1.5). A server that ignores ranges or whose file changed
    sends it all again.

    Raises:
        DownloadFailed: The server refuses, or the connection fails again and again.
    """
    target = folder / (Path(unquote(urlsplit(url).path)).name or "download")
    if target.exists():
        return target
    part = target.with_name(target.name + ".part")
    with progress.bar(target.name) as bar:
        for attempt in range(ATTEMPTS):
            try:
                _attempt(url, part, bar)
                break
            except _Interrupted as error:
                if attempt == ATTEMPTS - 1:
                    raise DownloadFailed(f"{error} (after {ATTEMPTS} attempts).") from error
                time.sleep(PAUSE * 2**attempt)
    return part.replace(target)


def _attempt(url: str, part: Path, bar: Bar) -> None:
    """One request for what is missing of the file."""
    import requests

    validator = part.with_name(part.name + ".validator")
    headers = {"Accept-Encoding": "identity"}
    if part.exists() and validator.exists():
        headers["Range"] = f"bytes={part.stat().st_size}-"
        headers["If-Range"] = validator.read_text(encoding="utf-8")
    try:
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            _require_success(response, part)
            _receive(response, part, validator, bar)
    except requests.RequestException as error:
        raise _Interrupted(str(error)) from error


def _require_success(response: "Response", part: Path) -> None:
    status = response.status_code
    if status == 416:  # what is here is no part of what the server has
        part.unlink()
        raise _Interrupted("The server has no such range of the file")
    if status >= 500 or status in (408, 429):
        raise _Interrupted(f"HTTP {status} {response.reason}")
    if status not in (200, 206):
        raise DownloadFailed(f"HTTP {status} {response.reason}")


def _receive(response: "Response", part: Path, validator: Path, bar: Bar) -> None:
    """Write the body behind what is there (206) or anew (200)."""
    resumed = response.status_code == 206
    done = part.stat().st_size if resumed else 0
    length = response.headers.get("Content-Length")
    total = done + int(length) if length else None
    if not resumed:
        _keep_validator(response, validator)
    with part.open("ab" if resumed else "wb") as sink:
        for chunk in response.iter_content(CHUNK):
            sink.write(chunk)
            done += len(chunk)
            bar.update(done, total)
    if total is not None and done != total:
        raise _Interrupted(f"The connection ended after {done} of {total} bytes")


def _keep_validator(response: "Response", validator: Path) -> None:
    """Remember what identifies this version of the file; a weak ETag cannot (RFC 9110)."""
    tag = response.headers.get("ETag", "")
    mark = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")
    if mark:
        validator.write_text(mark, encoding="utf-8")
    else:
        validator.unlink(missing_ok=True)
