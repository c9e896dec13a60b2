"""The publication channel against Pillow, the reference for its codecs."""

import io

import numpy as np
import pytest
from PIL import Image

from anonbench.engine.channel import Channel
from anonbench.errors import BadConfig


@pytest.fixture
def image() -> np.ndarray:
    y, x = np.mgrid[0:48, 0:64] / 64
    waves = [np.sin(6 * x + i) * np.cos(5 * y - i) for i in range(3)]
    return (0.5 + 0.6 * np.stack(waves, -1)).astype(np.float32)


def test_png_clips_and_rounds_to_eight_bits_and_nothing_else(image) -> None:
    channel = Channel.parse("png")
    received = channel.decode(channel.encode(image))
    expected = np.rint(image.clip(0, 1) * 255) / 255
    assert received.dtype == np.float32
    assert np.array_equal(received, expected.astype(np.float32))


def test_jpeg_is_what_pillow_writes(image) -> None:
    channel = Channel.parse("jpeg:75")
    eight_bit = Image.fromarray(np.rint(image.clip(0, 1) * 255).astype(np.uint8))
    buffer = io.BytesIO()
    eight_bit.save(buffer, "JPEG", quality=75, subsampling="4:2:0")
    assert channel.encode(image) == buffer.getvalue()
    assert np.array_equal(
        np.rint(channel.decode(channel.encode(image)) * 255), np.asarray(Image.open(buffer))
    )


def test_float_changes_nothing_not_even_outside_the_range(image) -> None:
    channel = Channel.parse("float")
    assert channel.is_float
    assert np.array_equal(channel.decode(channel.encode(image)), image)


def test_a_chain_keeps_the_size_and_loses_detail(image) -> None:
    noise = np.random.default_rng(0).random((48, 64, 3), np.float32)
    chain = Channel.parse("RESIZE:0.5+jpeg:60")
    received = chain.decode(chain.encode(noise))
    assert str(chain) == "resize:0.5+jpeg:60"
    assert received.shape == noise.shape
    assert received.std() < 0.7 * noise.std()


def test_lower_quality_is_further_from_the_image(image) -> None:
    def error(text: str) -> float:
        channel = Channel.parse(text)
        return float(np.abs(channel.decode(channel.encode(image)) - image.clip(0, 1)).mean())

    assert error("png") < error("jpeg:95") < error("jpeg:10")
    assert error("png") < error("webp:90") < error("webp:5")


@pytest.mark.parametrize(
    "text", ["", "gif", "jpeg", "jpeg:0", "jpeg:101", "jpeg:x", "png:3", "float+png", "resize:9"]
)
def test_a_wrong_channel_is_refused(text) -> None:
    with pytest.raises(BadConfig):
        Channel.parse(text)
