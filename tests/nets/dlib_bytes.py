"""Writes dlib's format by hand, to test the reader without dlib's own files."""

import struct

CONV = struct.pack("<3f", 2.0, 3.0, 0.5)  # filter [1, 2, 1, 1] and its bias


def integer(value: int) -> bytes:
    magnitude = abs(value).to_bytes(8, "little").rstrip(b"\0") or b"\0"
    return bytes([len(magnitude) | (0x80 if value < 0 else 0)]) + magnitude


def integers(*values: int) -> bytes:
    return b"".join(map(integer, values))


def text(value: str) -> bytes:
    return integer(len(value)) + value.encode()


ONE = integers(16, -4)  # as dlib writes the real number 1
TRAINING_STATE = b"110" + integers(2, 0, 0, 0, 0) * 3


def mini_network() -> bytes:
    """A 1x1 convolution of two channels to one, then a ReLU, for 4x6 images."""
    loss = integer(1) + text("loss_metric_2") + ONE + ONE
    image = text("input_rgb_image_sized") + ONE + integers(10, 0) + integers(-3, -1)
    con = text("con_4") + integers(2, 3, 1, 1, 1) + CONV + integers(1, 1, 1, 1, 1, 0, 0)
    con += integers(1, 1, 2, 1, 1) + integers(1, 1, 1, 1, 1) + ONE * 4 + TRAINING_STATE
    relu = text("relu_") + TRAINING_STATE
    return loss + integers(2, 1, 3) + image + integers(4, 6) + con + integer(1) + relu
