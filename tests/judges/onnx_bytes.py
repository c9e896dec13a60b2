"""Tiny ONNX files, written byte by byte: the package `onnx` is not needed to run a model."""

from collections.abc import Sequence

FLOAT = 1


def recogniser(
    shape: Sequence[int | str] = ("N", 3, 112, 112), outputs: Sequence[str] = ("embedding",)
) -> bytes:
    """A model whose embedding is the mean of each channel of its input.

    Args:
        shape: Of the input; a name stands for any number.
        outputs: Names of its outputs, all the same.
    """
    nodes = [node("GlobalAveragePool", "pixels", "means")]
    nodes += [node("Flatten", "means", name) for name in outputs]
    graph = b"".join(field(1, each) for each in nodes) + field(2, b"tiny")
    graph += field(11, value("pixels", shape))
    graph += b"".join(field(12, value(name, (shape[0], shape[1]))) for name in outputs)
    opset = field(1, b"") + number(2, 13)
    return number(1, 8) + field(7, graph) + field(8, opset)


def node(kind: str, source: str, target: str) -> bytes:
    return field(1, source.encode()) + field(2, target.encode()) + field(4, kind.encode())


def value(name: str, shape: Sequence[int | str]) -> bytes:
    sizes = [number(1, d) if isinstance(d, int) else field(2, d.encode()) for d in shape]
    tensor = number(1, FLOAT) + field(2, b"".join(field(1, size) for size in sizes))
    return field(1, name.encode()) + field(2, field(1, tensor))


def field(tag: int, content: bytes) -> bytes:
    """A field of bytes, of text or of another message in protobuf's wire format."""
    return varint(tag << 3 | 2) + varint(len(content)) + content


def number(tag: int, content: int) -> bytes:
    return varint(tag << 3) + varint(content)


def varint(content: int) -> bytes:
    low, rest = content & 127, content >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])
