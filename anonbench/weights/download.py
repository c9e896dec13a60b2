"""Downloads over http(s) that go on where they stopped."""

import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from anonbench.errors import UserError
from anonbench.weights.progress import Bar, Progress

if TYPE_CHECKING:
    from requests import Response

ATTEMPTS = 4
PAUSE = 0.5  # seconds before the first repetition; doubled each time
TIMEOUT = (10, 60)  # seconds to connect, and between two bytes
CHUNK = 1 << 15  # bytes; what is lost of an interrupted download at most


class MirrorFailed(UserError):
    """One mirror could not give the file; the next may."""


class _Interrupted(Exception):
    """A failure that may be gone at the next attempt."""


def download(url: str, target: Path, title: str, progress: Progress) -> None:
    """Download a URL, going on with what an earlier call left behind.

    The incomplete file is `TARGET.part`; beside it, `TARGET.validator` holds the `ETag` or
    `Last-Modified` with which the server is asked whether the rest still belongs to it
    (`If-Range`, RFC 9110 section 13.1.5). A server that ignores ranges, or whose file changed,
    sends it all again.

    Args:
        url: What to download.
        target: Where the complete file appears.
        title: What to call it beside the progress bar.
        progress: Told how far it is.

    Raises:
        MirrorFailed: The server refuses, or the connection fails again and again.
    """
    part = target.with_name(target.name + ".part")
    with progress.bar(title) as bar:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                _attempt(url, part, target.with_name(target.name + ".validator"), bar)
                break
            except _Interrupted as error:
                if attempt == ATTEMPTS:
                    raise MirrorFailed(f"{error} (after {ATTEMPTS} attempts).") from error
                time.sleep(PAUSE * 2 ** (attempt - 1))
    part.replace(target)


def _attempt(url: str, part: Path, validator: Path, bar: Bar) -> None:
    """One request for what is missing of the file."""
    import requests

    headers = {"Accept-Encoding": "identity"}
    if part.exists() and part.stat().st_size and validator.exists():
        headers["Range"] = f"bytes={part.stat().st_size}-"
        headers["If-Range"] = validator.read_text(encoding="utf-8")
    try:
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            _require_success(response, part)
            _receive(response, part, validator, bar)
    except requests.exceptions.ChunkedEncodingError as error:
        raise _Interrupted("The connection broke off") from error
    except (requests.ConnectionError, requests.Timeout) as error:
        raise _Interrupted(f"No connection to {urlsplit(url).netloc}") from error
    except requests.RequestException as error:
        raise MirrorFailed(str(error)) from error


def _require_success(response: "Response", part: Path) -> None:
    status = response.status_code
    if status == 416:  # what is here is no part of what the server has
        part.unlink()
        raise _Interrupted("The server has no such range of the file")
    if status >= 500 or status in (408, 429):
        raise _Interrupted(f"HTTP {status} {response.reason}")
    if status not in (200, 206):
        raise MirrorFailed(f"HTTP {status} {response.reason}.")


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
