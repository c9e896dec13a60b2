"""Manifests: coreutils agree, the place does not matter, the cache never lies or fails."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from anonbench.data.manifest import Manifest, build_manifest, read_checksums
from anonbench.errors import BadData


def make(root: Path) -> dict[str, str]:
    for name, text in (("b/two.txt", "two"), ("a/one.txt", "one"), ("a b.txt", "")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return {name: str(root / name) for name in ("b/two.txt", "a/one.txt", "a b.txt")}


def test_text_is_what_sha256sum_prints(tmp_path: Path) -> None:
    if not shutil.which("sha256sum"):
        pytest.skip("needs sha256sum")
    manifest = build_manifest(make(tmp_path))
    names = [file.path for file in manifest.files]
    printed = subprocess.run(
        ["sha256sum", *names], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert manifest.text == printed
    (tmp_path / "m").write_text(printed)
    assert read_checksums(tmp_path / "m") == {file.path: file.sha256 for file in manifest.files}


def test_files_are_sorted_with_their_sizes(tmp_path: Path) -> None:
    files = build_manifest(make(tmp_path)).files
    assert [(file.path, file.size) for file in files] == [
        ("a b.txt", 0),
        ("a/one.txt", 3),
        ("b/two.txt", 3),
    ]


def test_hash_depends_on_names_and_content_not_on_the_place(tmp_path: Path) -> None:
    here, there = make(tmp_path / "here"), make(tmp_path / "there")
    first = build_manifest(here).hash
    assert build_manifest(dict(reversed(there.items()))).hash == first
    assert build_manifest({**there, "c.txt": there["a b.txt"]}).hash != first
    (tmp_path / "there/a/one.txt").write_text("0ne")
    assert build_manifest(there).hash != first


def test_cache_saves_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, cache = make(tmp_path), tmp_path / "cache" / "m.json"
    first = build_manifest(files, cache)

    def unread(path: Path) -> str:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr("anonbench.data.manifest.sha256_of", unread)
    assert build_manifest(files, cache) == first


def test_changed_file_is_hashed_again(tmp_path: Path) -> None:
    files, cache = make(tmp_path), tmp_path / "m.json"
    build_manifest(files, cache)
    path = Path(files["a/one.txt"])
    before = path.stat()
    path.write_text("0ne")  # the same size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert build_manifest(files, cache) == build_manifest(files)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"a/one.txt": 3}', b"\xff\xfe\x00"])
def test_broken_cache_is_replaced(tmp_path: Path, content: bytes) -> None:
    files, cache = make(tmp_path), tmp_path / "m.json"
    cache.write_bytes(content)
    assert build_manifest(files, cache) == build_manifest(files)
    assert b"two.txt" in cache.read_bytes()


def test_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    files = make(tmp_path)
    manifest = build_manifest(files, tmp_path / "file" / "m.json")
    assert manifest == build_manifest(files)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"nowhere\.jpg cannot be read"):
        build_manifest({"nowhere.jpg": str(tmp_path / "nowhere.jpg")})


def test_line_that_is_no_checksum_is_named(tmp_path: Path) -> None:
    good = f"{'0' * 64}  a.jpg\n"
    (tmp_path / "m").write_text(good + "a.jpg\n")
    with pytest.raises(BadData, match="line 2"):
        read_checksums(tmp_path / "m")
    with pytest.raises(BadData, match="cannot be read"):
        read_checksums(tmp_path / "absent")


def test_hash_of_nothing_is_that_of_no_text() -> None:
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert Manifest(()).hash == empty
