"""Image files of every kind that people have: read right, or refused in one sentence."""

import errno
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile

from anonbench.data.images import MAX_PIXELS, decode_image, encode_png, read_image
from anonbench.errors import BadImage, StoreError

Pixels = NDArray[np.uint8]


@pytest.fixture
def colours() -> Pixels:
    """A smooth image, so that JPEG keeps it within a few grey levels."""
    y, x = np.mgrid[0:48, 0:64]
    return np.stack([x * 4, y * 5, 255 - x * 2 - y * 2], axis=2).astype(np.uint8)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm"])
def test_lossless_formats_give_the_pixels(tmp_path: Path, colours: Pixels, suffix: str) -> None:
    Image.fromarray(colours).save(tmp_path / f"x.{suffix}")
    read = read_image(tmp_path / f"x.{suffix}")
    np.testing.assert_array_equal(read, colours)
    assert read.dtype == np.uint8 and read.flags.c_contiguous and read.flags.writeable


def test_content_decides_not_the_extension(tmp_path: Path, colours: Pixels) -> None:
    Image.fromarray(colours).save(tmp_path / "really-a-png.jpg", "PNG")
    np.testing.assert_array_equal(read_image(tmp_path / "really-a-png.jpg"), colours)


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "YCbCr"])
def test_jpeg_colour_spaces_show_the_same_picture(
    tmp_path: Path, colours: Pixels, mode: str
) -> None:
    Image.fromarray(colours).convert(mode).save(tmp_path / "x.jpg", quality=98, subsampling=0)
    difference = read_image(tmp_path / "x.jpg").astype(int) - colours
    assert np.abs(difference).max() <= 8


def test_grey_becomes_three_equal_channels(tmp_path: Path, colours: Pixels) -> None:
    grey = colours[:, :, 0]
    Image.fromarray(grey).save(tmp_path / "x.pgm")
    np.testing.assert_array_equal(read_image(tmp_path / "x.pgm"), np.dstack([grey] * 3))


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 128, 129, 257, 32896, 65278, 65407, 65535]], dtype=np.uint16)
    if suffix == "pgm":  # written by hand: big endian, maxval 65535
        head = f"P5 {values.shape[1]} 1 65535\n".encode()
        (tmp_path / "x.pgm").write_bytes(head + values.astype(">u2").tobytes())
    else:
        Image.fromarray(values).save(tmp_path / f"x.{suffix}")
    read = read_image(tmp_path / f"x.{suffix}")
    assert read[0, :, 0].tolist() == [0, 0, 1, 1, 128, 254, 255, 255]
    assert (read == read[:, :, :1]).all()


def test_transparency_is_composited_on_white(tmp_path: Path) -> None:
    pixels = np.array([[[200, 100, 0, 255], [200, 100, 0, 0], [200, 100, 0, 51]]], dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    read = read_image(tmp_path / "x.png")[0]
    assert read[:2].tolist() == [[200, 100, 0], [255, 255, 255]]
    np.testing.assert_allclose(read[2], 0.2 * pixels[0, 2, :3] + 0.8 * 255, atol=1)


def test_palette_with_and_without_a_transparent_colour(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    image.save(tmp_path / "plain.png")
    image.save(tmp_path / "clear.png", transparency=1)
    assert read_image(tmp_path / "plain.png").tolist() == [[[10, 20, 30], [40, 50, 60]]]
    assert read_image(tmp_path / "clear.png").tolist() == [[[10, 20, 30], [255, 255, 255]]]


STORED: dict[int, Callable[[Pixels], Pixels]] = {
    # How the camera stores an upright image under each EXIF orientation (TIFF 6.0, tag 274:
    # which side of the picture the stored rows and columns start at).
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2),
    6: np.rot90,
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_applied(tmp_path: Path, colours: Pixels, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    stored = np.ascontiguousarray(STORED[orientation](colours))
    Image.fromarray(stored).save(tmp_path / "x.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "x.png"), colours)


def refused(path: Path) -> str:
    with pytest.raises(BadImage) as caught:
        read_image(path)
    message = caught.value.what
    assert str(path) in message and "\n" not in message
    return message


def test_files_that_are_no_image_say_so(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("<html>404</html>")
    assert "0 bytes" in refused(tmp_path / "empty.jpg")
    assert "no known image format" in refused(tmp_path / "text.jpg")
    assert "does not exist" in refused(tmp_path / "nowhere.jpg")
    assert "folder" in refused(tmp_path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tiff", "webp", "ppm"])
@pytest.mark.parametrize("kept", [0.05, 0.5, 0.95])
def test_truncated_file_is_refused(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"x.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    refused(path)


def test_jpeg_that_lost_its_last_byte_is_refused(tmp_path: Path, colours: Pixels) -> None:
    Image.fromarray(colours).save(tmp_path / "x.jpg")
    (tmp_path / "x.jpg").write_bytes((tmp_path / "x.jpg").read_bytes()[:-1])
    assert "damaged or cut off" in refused(tmp_path / "x.jpg")


def test_png_with_a_flipped_bit_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    data = bytearray(encode_png(noise))
    data[len(data) // 2] ^= 1
    (tmp_path / "x.png").write_bytes(data)
    assert "damaged" in refused(tmp_path / "x.png")


def test_float_pixels_have_no_natural_range(tmp_path: Path) -> None:
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "x.tiff")
    assert "no 8-bit range" in refused(tmp_path / "x.tiff")


@pytest.mark.parametrize("side", [8_001, 10_000, 60_000])
def test_bomb_is_refused_by_its_header(tmp_path: Path, side: int) -> None:
    """8,001 is above our limit alone, 10,000 above Pillow's warning, 60,000 above its error."""
    (tmp_path / "bomb.png").write_bytes(png_header(side, side))
    assert f"more than {MAX_PIXELS:,}" in refused(tmp_path / "bomb.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_file_without_read_permission(tmp_path: Path, colours: Pixels) -> None:
    Image.fromarray(colours).save(tmp_path / "x.png")
    (tmp_path / "x.png").chmod(0)
    with pytest.raises(StoreError, match="Permission denied"):
        read_image(tmp_path / "x.png")


def test_a_disk_that_fails_is_no_fault_of_the_image(
    tmp_path: Path, colours: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(colours).save(tmp_path / "x.png")

    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(StoreError, match=r"x\.png cannot be read: Input/output error"):
        read_image(tmp_path / "x.png")


def test_random_damage_never_escapes_as_another_error(colours: Pixels) -> None:
    rng = np.random.default_rng(7)
    read = refusals = 0
    for kind in ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "PPM"):
        buffer = io.BytesIO()
        Image.fromarray(colours[:16, :16]).save(buffer, kind)
        for _ in range(60):
            data = bytearray(buffer.getvalue())
            for place in rng.integers(0, min(len(data), 200), 3):
                data[place] = rng.integers(0, 256)
            try:
                assert decode_image(bytes(data)).shape[2] == 3
                read += 1
            except BadImage:
                refusals += 1
    assert read and refusals


def test_png_round_trip_is_exact_and_repeatable() -> None:
    image = np.random.default_rng(1).integers(0, 256, (17, 23, 3), dtype=np.uint8)
    data = encode_png(image)
    np.testing.assert_array_equal(decode_image(data), image)
    assert encode_png(image) == data


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4)])
def test_only_rgb_is_encoded(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="uint8"):
        encode_png(np.zeros(shape, np.uint8))


def test_empty_bytes() -> None:
    with pytest.raises(BadImage, match="0 bytes"):
        decode_image(b"", "upload")
