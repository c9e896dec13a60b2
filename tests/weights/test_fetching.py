import errno
import hashlib
import io
import multiprocessing
import os
import shutil
import socket
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from weights_helpers import Web, downloads_left, entry

from anonbench import weights
from anonbench.errors import MissingArtefact, Offline, StoreError, UnknownName, WrongHash
from anonbench.weights import cache, fetching
from anonbench.weights.download import CHUNK

CONTENT = os.urandom(300_000)
WRONG = b"x" * len(CONTENT)
Offer = Callable[[str], None]


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _start(wanted: str | None) -> int:
    """Where the range that was asked for begins."""
    return int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0


def test_a_download_is_verified_kept_and_not_repeated(offer: Offer, web: Web) -> None:
    web.files["a.bin"] = CONTENT
    offer(entry("a", CONTENT, f"{web.url}/a.bin"))
    assert not weights.is_present("a")
    with pytest.raises(MissingArtefact, match="anonbench fetch a"):
        weights.path("a")

    (path,) = weights.fetch(["a"])
    assert weights.fetch(["a"]) == [path] == [weights.path("a")]
    assert path.read_bytes() == CONTENT and weights.digest("a") == sha(CONTENT)
    assert len(web.requests) == 1
    assert downloads_left() == []
    assert cache.root().stat().st_mode & 0o777 == path.parent.stat().st_mode & 0o777 == 0o700


def test_an_interrupted_download_goes_on_where_it_stopped(offer: Offer, web: Web) -> None:
    web.files["a.bin"] = CONTENT
    web.cut_after = [100_000, 50_000]
    offer(entry("a", CONTENT, f"{web.url}/a.bin"))
    (path,) = weights.fetch(["a"])
    assert path.read_bytes() == CONTENT
    first, *resumed = [wanted for _, wanted in web.requests]
    assert first is None
    assert 100_000 - CHUNK <= _start(resumed[0]) <= 100_000 < _start(resumed[1]) <= 150_000


def test_a_later_call_resumes_what_an_earlier_one_left(offer: Offer, web: Web) -> None:
    web.files["a.bin"] = CONTENT
    web.cut_after = [70_000, 0, 0, 0]
    offer(entry("a", CONTENT, f"{web.url}/a.bin"))
    with pytest.raises(MissingArtefact, match="broke off"):
        weights.fetch(["a"])
    assert not weights.is_present("a")
    weights.fetch(["a"])
    assert 70_000 - CHUNK <= _start(web.requests[-1][1]) <= 70_000
    assert weights.path("a").read_bytes() == CONTENT


def test_a_server_without_ranges_sends_everything_again(offer: Offer, web: Web) -> None:
    web.files["a.bin"] = CONTENT
    web.ranges, web.cut_after = False, [100_000]
    offer(entry("a", CONTENT, f"{web.url}/a.bin"))
    assert weights.fetch(["a"])[0].read_bytes() == CONTENT


def test_a_file_that_changed_is_not_glued_to_its_old_beginning(offer: Offer, web: Web) -> None:
    web.files["a.bin"] = WRONG
    web.cut_after = [100_000, 0, 0, 0]
    offer(entry("a", CONTENT, f"{web.url}/a.bin"))
    with pytest.raises(MissingArtefact):
        weights.fetch(["a"])
    web.files["a.bin"] = CONTENT
    assert weights.fetch(["a"])[0].read_bytes() == CONTENT


def test_the_next_mirror_takes_over(offer: Offer, web: Web) -> None:
    web.files |= {"wrong.bin": WRONG, "right.bin": CONTENT}
    mirrors = [f"{web.url}/{name}.bin" for name in ("absent", "wrong", "right")]
    offer(entry("a", CONTENT, *mirrors))
    assert weights.fetch(["a"])[0].read_bytes() == CONTENT
    assert [name for name, _ in web.requests] == ["absent.bin", "wrong.bin", "right.bin"]


def test_all_failures_are_told_in_one_error(offer: Offer, web: Web) -> None:
    web.files["wrong.bin"] = WRONG
    bad = "file:/nowhere/a.bin"
    offer(
        entry("a", CONTENT, f"{web.url}/absent.bin", f"{web.url}/wrong.bin", bad)
        + entry("b", CONTENT, bad)
    )
    with pytest.raises(MissingArtefact) as caught:
        weights.fetch(["a", "b"])
    text = str(caught.value)
    for reason in ("HTTP 404", sha(CONTENT), sha(WRONG), "no file /nowhere/a.bin", "'b'"):
        assert reason in text
    assert "anonbench fetch a --from" in text and "anonbench fetch b --from" in text
    assert not weights.is_present("a")
    assert downloads_left() == []


def test_one_failure_does_not_keep_the_others_away(offer: Offer, web: Web) -> None:
    web.files["b.bin"] = CONTENT
    offer(entry("a", CONTENT, "file:/nowhere") + entry("b", CONTENT, f"{web.url}/b.bin"))
    with pytest.raises(MissingArtefact, match="'a'"):
        weights.fetch(["a", "b"])
    assert weights.is_present("b")


def test_offline_opens_no_socket(offer: Offer, no_sockets: None, tmp_path: Path) -> None:
    (tmp_path / "b.bin").write_bytes(CONTENT)
    web_mirrors = ("https://example.org/a.bin", "pypi:some==1.0!a.bin", "npm:some@1.0!a.bin")
    offer(entry("a", CONTENT, *web_mirrors) + entry("b", CONTENT, f"file:{tmp_path}/b.bin"))
    with pytest.raises(Offline, match="anonbench fetch a"):
        weights.fetch(["a"], offline=True)
    assert weights.fetch(["b"], offline=True)[0].read_bytes() == CONTENT


@pytest.mark.parametrize("file_name", ["a.bin", "download (1)"])
def test_a_file_downloaded_by_hand_is_known_by_name_or_content(
    offer: Offer, no_sockets: None, tmp_path: Path, file_name: str
) -> None:
    folder = tmp_path / "downloads"
    folder.mkdir()
    (folder / file_name).write_bytes(CONTENT)
    (folder / "other").write_bytes(WRONG)
    offer(entry("a", CONTENT, "https://example.org/a.bin"))
    paths = weights.fetch(["a"], offline=True, source_dir=folder)
    assert paths[0].read_bytes() == CONTENT
    assert (folder / file_name).exists()


def test_a_wrong_file_downloaded_by_hand_is_refused(offer: Offer, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(WRONG)
    offer(entry("a", CONTENT, f"file:{tmp_path}/elsewhere.bin"))
    (tmp_path / "elsewhere.bin").write_bytes(b"")
    with pytest.raises(WrongHash) as caught:
        weights.fetch(["a"], source_dir=tmp_path)
    assert sha(CONTENT) in str(caught.value) and sha(WRONG) in str(caught.value)
    with pytest.raises(WrongHash, match=sha(WRONG)):
        weights.import_file("a", tmp_path / "a.bin")
    assert not weights.is_present("a")


def test_the_first_import_of_an_unpublished_hash_binds_later_ones(
    offer: Offer, tmp_path: Path
) -> None:
    offer(entry("a", CONTENT, "https://example.org/a.bin", pinned=False))
    with pytest.raises(MissingArtefact, match="not known"):
        weights.digest("a")
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(CONTENT)
    second.write_bytes(WRONG)
    weights.import_file("a", first)
    assert weights.digest("a") == sha(CONTENT)
    with pytest.raises(WrongHash, match=sha(CONTENT)):
        weights.import_file("a", second)
    shutil.rmtree(weights.path("a").parent)
    with pytest.raises(WrongHash, match=sha(CONTENT)):
        weights.import_file("a", second)
    assert weights.import_file("a", first).read_bytes() == CONTENT


def test_damage_is_noticed_named_and_mended(offer: Offer, web: Web) -> None:
    web.files |= {"a.bin": CONTENT, "b.bin": CONTENT}
    offer(entry("a", CONTENT, f"{web.url}/a.bin") + entry("b", CONTENT, f"{web.url}/b.bin"))
    weights.fetch(["a", "b"])
    weights.path("a").write_bytes(WRONG)
    assert [check.status for check in weights.verify(["a", "b"])] == ["damaged", "ok"]
    with pytest.raises(WrongHash, match="anonbench fetch a"):
        weights.path("a")
    weights.fetch(["a"])
    assert weights.path("a").read_bytes() == CONTENT


def test_verify_reads_content_where_size_and_time_are_unchanged(offer: Offer, web: Web) -> None:
    web.files["a.bin"] = CONTENT
    offer(entry("a", CONTENT, f"{web.url}/a.bin"))
    (path,) = weights.fetch(["a"])
    state = path.stat()
    path.write_bytes(WRONG)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert weights.verify(["a"])[0].found == sha(WRONG)


def _tar(names: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in names.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


FACES = """
[faces]
kind = "folder"
what = "test faces"
licence = "MIT"
citation = "nobody"
research_only = true
"""


def _part(web: Web, name: str, more: str = "") -> str:
    pin = sha(web.files[name])
    mirror = f"{web.url}/{name}"
    return f'[[faces.parts]]\nfile = "{name}"\nsha256 = "{pin}"\nmirrors = ["{mirror}"]\n{more}\n'


def test_a_folder_is_composed_of_an_archive_and_a_file(offer: Offer, web: Web) -> None:
    web.files["faces.tgz"] = _tar({"lfw/Ann/Ann_0001.jpg": b"1", "lfw/Bob/Bob_0001.jpg": b"2"})
    web.files["pairs.txt"] = b"10 300"
    offer(FACES + _part(web, "faces.tgz", 'unpack = ""') + _part(web, "pairs.txt"))
    (folder,) = weights.fetch(["faces"])
    found = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    assert found == ["lfw/Ann/Ann_0001.jpg", "lfw/Bob/Bob_0001.jpg", "pairs.txt"]
    listed = "".join(f"{sha((folder / name).read_bytes())}  {name}\n" for name in found)
    assert weights.digest("faces") == sha(listed.encode())

    (folder / "lfw/Bob/Bob_0001.jpg").unlink()
    assert weights.verify(["faces"])[0].status == "damaged"


def test_a_folder_that_was_unpacked_by_hand_can_be_imported(
    offer: Offer, web: Web, tmp_path: Path
) -> None:
    web.files["faces.tgz"] = _tar({"s1/1.pgm": b"1"})
    listed = f"{sha(b'1')}  s1/1.pgm\n".encode()
    offer(f'{FACES}sha256 = "{sha(listed)}"\n' + _part(web, "faces.tgz", 'unpack = ""'))
    mine = tmp_path / "mine" / "s1"
    mine.mkdir(parents=True)
    (mine / "1.pgm").write_bytes(b"9")
    with pytest.raises(WrongHash, match=sha(listed)):
        weights.import_file("faces", mine.parent)
    (mine / "1.pgm").write_bytes(b"1")
    assert (weights.import_file("faces", mine.parent) / "s1/1.pgm").read_bytes() == b"1"
    assert web.requests == []


def _fetch_in_child(start: "multiprocessing.synchronize.Barrier") -> None:
    start.wait()
    weights.fetch(["a"])


def test_two_processes_download_once(offer: Offer, web: Web) -> None:
    web.files["a.bin"] = CONTENT
    offer(entry("a", CONTENT, f"{web.url}/a.bin"))
    context = multiprocessing.get_context("fork")
    start = context.Barrier(2)
    children = [context.Process(target=_fetch_in_child, args=(start,)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(20)
    assert [child.exitcode for child in children] == [0, 0]
    assert len(web.requests) == 1
    assert weights.path("a").read_bytes() == CONTENT


def test_a_killed_process_leaves_its_part_to_the_next(offer: Offer, web: Web) -> None:
    web.files["a.bin"] = CONTENT
    web.cut_after = [200_000]
    web.hang_up.clear()
    offer(entry("a", CONTENT, f"{web.url}/a.bin"))
    context = multiprocessing.get_context("fork")
    child = context.Process(target=weights.fetch, args=(["a"],))
    child.start()
    deadline = time.monotonic() + 20
    while not any(cache.root().rglob("*.part")) or _size_of_part() < 100_000:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.kill()
    child.join()
    web.hang_up.set()
    assert weights.fetch(["a"])[0].read_bytes() == CONTENT
    assert _start(web.requests[-1][1]) >= 100_000
    assert not any((cache.root() / ".incoming").iterdir())


def _size_of_part() -> int:
    return next(cache.root().rglob("*.part")).stat().st_size


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(
    offer: Offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "a.bin").write_bytes(CONTENT)
    offer(entry("a", CONTENT, f"file:{tmp_path}/a.bin"))
    monkeypatch.setattr(fetching.shutil, "copyfile", full)
    with pytest.raises(StoreError, match="No space left"):
        weights.fetch(["a"])
    monkeypatch.undo()
    assert not list((tmp_path / "home").rglob("a.bin"))


def test_an_unknown_name_gets_a_suggestion(anonbench_home: Path) -> None:
    with pytest.raises(UnknownName, match="dlib-resnet"):
        weights.fetch(["dlib-resnett"])
