"""Writes RecordIO packs as the documentation of MXNet describes them, byte by byte."""

import struct
from pathlib import Path

MAGIC = b"\x0a\x23\xd7\xce"


def image_record(label: float | list[float], image: bytes, number: int = 0) -> bytes:
    """IRHeader (flag, label, id, id2), further labels, image."""
    if isinstance(label, list):
        header = struct.pack("<IfQQ", len(label), 0.0, number, 0)
        return header + b"".join(struct.pack("<f", value) for value in label) + image
    return struct.pack("<IfQQ", 0, label, number, 0) + image


def stored(data: bytes) -> bytes:
    """A record on disk: cut where a word of it is the magic number, each part with its flag."""
    parts, part = [], b""
    for start in range(0, len(data), 4):
        word = data[start : start + 4]
        if word == MAGIC:
            parts.append(part)
            part = b""
        else:
            part += word
    parts.append(part)
    written = b""
    for place, part in enumerate(parts):
        if len(parts) == 1:
            flag = 0
        elif place == 0:
            flag = 1
        else:
            flag = 3 if place == len(parts) - 1 else 2
        written += MAGIC + struct.pack("<I", flag * 2**29 + len(part)) + part
        written += b"\0" * (-len(part) % 4)
    return written


def write_pack(folder: Path, records: dict[int, bytes]) -> dict[int, int]:
    """`train.rec` and `train.idx`; returns where each record starts."""
    folder.mkdir(parents=True, exist_ok=True)
    offsets, content = {}, b""
    for key, data in records.items():
        offsets[key] = len(content)
        content += stored(data)
    (folder / "train.rec").write_bytes(content)
    (folder / "train.idx").write_text("".join(f"{k}\t{o}\n" for k, o in offsets.items()))
    return offsets
