import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from anonbench.errors import BadData
from anonbench.weights import archives


def tar_with(tmp_path: Path, *members: tarfile.TarInfo | str) -> Path:
    """A tar with these members; a plain name stands for a file of 4 bytes."""
    file = tmp_path / "archive.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        for member in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.size = 4 if info.isfile() else 0
            archive.addfile(info, io.BytesIO(b"data") if info.isfile() else None)
    return file


def zip_with(tmp_path: Path, *names: str | zipfile.ZipInfo, content: bytes = b"data") -> Path:
    file = tmp_path / "archive.whl"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content, zipfile.ZIP_DEFLATED)
    return file


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def everything_below(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("make", [tar_with, zip_with])
def test_only_the_wanted_folder_is_unpacked(make, tmp_path: Path) -> None:
    archive = make(tmp_path, "top/a/1", "top/a/b/2", "top/ab/3", "top/4")
    archives.extract_tree(archive, "top/a", tmp_path / "out")
    assert everything_below(tmp_path / "out") == ["1", "b/2"]


UNSAFE = ["../evil", "a/../../evil", "/evil", "..\\evil", "C:\\evil", "C:evil", "a\\b"]


@pytest.mark.parametrize("name", UNSAFE)
@pytest.mark.parametrize("make", [tar_with, zip_with])
def test_names_that_leave_the_folder_are_refused(make, name: str, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    archive = make(tmp_path, name)
    with pytest.raises(BadData, match="leads out"):
        archives.extract_tree(archive, "", out)
    assert everything_below(tmp_path) == [archive.name]


@pytest.mark.parametrize(
    "member",
    [
        special("link", tarfile.SYMTYPE, "/etc"),
        special("link", tarfile.LNKTYPE, "../../secret"),
        special("pipe", tarfile.FIFOTYPE),
        special("device", tarfile.CHRTYPE),
    ],
    ids=["symlink", "hardlink", "pipe", "device"],
)
def test_links_and_devices_are_refused(member: tarfile.TarInfo, tmp_path: Path) -> None:
    archive = tar_with(tmp_path, member, "link/passwd")
    with pytest.raises(BadData, match="not safe"):
        archives.extract_tree(archive, "", tmp_path / "out")
    with pytest.raises(BadData, match="not safe"):
        archives.extract_file(archive, member.name, tmp_path / "file")
    assert everything_below(tmp_path) == [archive.name]


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = zip_with(tmp_path, info, content=b"/etc/passwd")
    with pytest.raises(BadData, match="not safe"):
        archives.extract_tree(archive, "", tmp_path / "out")


def test_a_bomb_is_stopped_at_the_announced_size(tmp_path: Path) -> None:
    archive = zip_with(tmp_path, "bomb", content=bytes(50 << 20))
    assert archive.stat().st_size < 100_000
    with pytest.raises(BadData, match="more than announced"):
        archives.extract_tree(archive, "", tmp_path / "out", limit=1 << 20)
    with pytest.raises(BadData, match="more than announced"):
        archives.extract_file(archive, "bomb", tmp_path / "file", limit=1 << 20)
    written = [p for p in (tmp_path / "out" / "bomb", tmp_path / "file") if p.exists()]
    assert all(p.stat().st_size <= 1 << 20 for p in written)


def test_the_size_limit_counts_all_files_together(tmp_path: Path) -> None:
    archive = tar_with(tmp_path, *(f"{i}" for i in range(10)))
    archives.extract_tree(archive, "", tmp_path / "out", limit=40)
    with pytest.raises(BadData, match="more than announced"):
        archives.extract_tree(archive, "", tmp_path / "out2", limit=39)


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_FILES", 3)
    archive = tar_with(tmp_path, *(f"{i}" for i in range(4)))
    with pytest.raises(BadData, match="more than 3 files"):
        archives.extract_tree(archive, "", tmp_path / "out")


@pytest.mark.parametrize("make", [tar_with, zip_with])
def test_a_damaged_archive_is_a_clear_error(make, tmp_path: Path) -> None:
    archive = make(tmp_path, *(f"file{i}" for i in range(200)))
    archive.write_bytes(archive.read_bytes()[:-300])
    with pytest.raises(BadData, match="not a readable archive"):
        archives.extract_tree(archive, "", tmp_path / "out")


def test_what_is_not_in_the_archive_is_named(tmp_path: Path) -> None:
    archive = tar_with(tmp_path, "a/1")
    with pytest.raises(BadData, match="'a/2'"):
        archives.extract_file(archive, "a/2", tmp_path / "file")
    with pytest.raises(BadData, match="below 'b'"):
        archives.extract_tree(archive, "b", tmp_path / "out")
