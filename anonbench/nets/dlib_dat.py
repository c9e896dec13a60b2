"""Reader for networks that dlib saved with `serialize`.

The format, read off dlib's sources (dlib/serialize.h, dlib/float_details.h, dlib/cuda/tensor.h,
dlib/dnn/core.h, dlib/dnn/layers.h, dlib 19.24, Boost Software Licence):

- integer: a byte with the number of magnitude bytes, 0x80 added for a negative one; then the
  magnitude, little-endian.
- real: integers `mantissa` and `exponent`, worth `mantissa * 2**exponent`; exponents from 32000
  mean an infinity or not-a-number.
- bool: the character `0` or `1`. Text: its length as integer, then its bytes.
- tensor: integers `2` (format version), samples, channels, rows, columns; then float32,
  little-endian. An alias, which names a part of a tensor, has version `1` and only the shape.
- network: the loss layer, then from the output inwards the version of each layer, then the input
  layer, then from the input outwards what each layer holds. A tag or a skip layer holds nothing.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from anonbench.errors import UserError

_TAG, _LAYER, _INNERMOST = 1, 2, 3
_SPECIAL_REALS = {32000: math.inf, 32001: -math.inf, 32002: math.nan}


@dataclass(frozen=True)
class Layer:
    """One layer as the file describes it.

    Attributes:
        kind: dlib's name without the format version: `con`, `affine`, `relu`, `max_pool`,
            `avg_pool`, `add_prev`, `fc`; `tag` for a tag or a skip layer.
        settings: `(filters, rows, columns, stride y, stride x, padding y, padding x)` of a
            convolution, the same without filters of a pooling (0 rows: the whole image),
            `(outputs, inputs)` of a fully connected layer.
        weight: Filters `[N, C, H, W]`, the factors of an affine layer, or the `[inputs, outputs,
            1, 1]` matrix; empty where a layer has none.
        bias: What is added afterwards; empty where a layer has none.
    """

    kind: str
    settings: tuple[int, ...]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


@dataclass(frozen=True)
class Network:
    """A network in the order in which an image passes it.

    Attributes:
        mean: What is subtracted from red, green and blue in 0..255.
        size: Rows and columns of the input image.
        layers: From the input to the output; the loss layer is left out.
    """

    mean: tuple[float, float, float]
    size: tuple[int, int]
    layers: tuple[Layer, ...]


class DatReader:
    """Reads dlib's serialisation value by value.

    Args:
        data: The file's bytes.
        source: Name of the file in messages.
    """

    def __init__(self, data: bytes, source: str) -> None:
        self._data, self._source, self._at = data, source, 0

    def fail(self, reason: str) -> NoReturn:
        """Raise the UserError that says what is wrong where."""
        raise UserError(
            f"{self._source} cannot be read as a dlib network: {reason} at byte {self._at}.",
            why="It is truncated, damaged, or another kind of file.",
            mend="Fetch the recogniser's file with: anonbench fetch dlib-resnet",
        )

    def _take(self, count: int) -> bytes:
        chunk = self._data[self._at : self._at + count]
        if len(chunk) != count:
            self.fail(f"the file ends where {count} more bytes are due")
        self._at += count
        return chunk

    def integer(self) -> int:
        """A signed integer of up to eight bytes."""
        head = self._take(1)[0]
        count = head & 0x0F
        if head & 0x70 or not 1 <= count <= 8:
            self.fail(f"byte {head:#04x} starts no integer")
        magnitude = int.from_bytes(self._take(count), "little")
        return -magnitude if head & 0x80 else magnitude

    def integers(self, count: int) -> tuple[int, ...]:
        """Several integers."""
        return tuple(self.integer() for _ in range(count))

    def real(self) -> float:
        """A real number, exact where a double can hold it."""
        mantissa, exponent = self.integers(2)
        if exponent in _SPECIAL_REALS:
            return _SPECIAL_REALS[exponent]
        try:
            return math.ldexp(mantissa, exponent)
        except OverflowError:
            self.fail(f"{mantissa} * 2**{exponent} is no real number")

    def flag(self) -> bool:
        """A bool."""
        character = self._take(1)
        if character not in b"01":
            self.fail(f"{character!r} is no bool")
        return character == b"1"

    def text(self) -> str:
        """A text; the format uses them as names only, so they are ASCII."""
        chunk = self._take(self.size())
        if not chunk.isascii():
            self.fail(f"{chunk[:20]!r} is no name")
        return chunk.decode("ascii")

    def size(self) -> int:
        """An integer that is a length."""
        value = self.integer()
        if value < 0:
            self.fail(f"{value} is no length")
        return value

    def expect(self, expected: int, meaning: str) -> None:
        """An integer that can only have one value."""
        found = self.integer()
        if found != expected:
            self.fail(f"{meaning} is {found} instead of {expected}")

    def tensor(self) -> NDArray[np.float32]:
        """A tensor `[samples, channels, rows, columns]`."""
        self.expect(2, "the version of a tensor")
        shape = [self.size() for _ in range(4)]
        values = np.frombuffer(self._take(4 * math.prod(shape)), dtype="<f4")
        return values.astype(np.float32).reshape(shape)

    def alias(self) -> tuple[int, ...]:
        """The shape of a part of a tensor."""
        self.expect(1, "the version of an alias")
        return tuple(self.size() for _ in range(4))

    def end(self) -> None:
        """Check that nothing is left."""
        left = len(self._data) - self._at
        if left:
            self.fail(f"{left} bytes are left over")


def read_network(path: Path) -> Network:
    """Read a metric-learning network with an RGB input of fixed size.

    Args:
        path: A file such as dlib_face_recognition_resnet_model_v1.dat.

    Returns:
        The network; every byte of the file was accounted for.

    Raises:
        UserError: The file is not there, is truncated or damaged, or holds something else.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    reader = DatReader(data, str(path))
    _read_loss(reader)
    versions = _read_versions(reader)
    mean, size = _read_input(reader)
    layers = tuple(_read_layer(reader, version) for version in reversed(versions))
    reader.end()
    return Network(mean, size, layers)


def _read_loss(reader: DatReader) -> None:
    reader.expect(1, "the version of the loss layer")
    name = reader.text()
    if name != "loss_metric_2":
        reader.fail(f"'{name}' instead of the loss layer 'loss_metric_2'")
    for _ in ("margin", "distance threshold"):
        reader.real()


def _read_versions(reader: DatReader) -> list[int]:
    """The versions of all layers, outermost first; the innermost alone has its own number."""
    versions = [reader.integer()]
    while versions[-1] != _INNERMOST:
        if versions[-1] not in (_TAG, _LAYER):
            reader.fail(f"{versions[-1]} is no version of a layer")
        versions.append(reader.integer())
    return versions


def _read_input(reader: DatReader) -> tuple[tuple[float, float, float], tuple[int, int]]:
    name = reader.text()
    if name != "input_rgb_image_sized":
        reader.fail(f"'{name}' instead of the input layer 'input_rgb_image_sized'")
    return (reader.real(), reader.real(), reader.real()), (reader.size(), reader.size())


def _read_layer(reader: DatReader, version: int) -> Layer:
    if version == _TAG:
        return _plain("tag")
    name = reader.text()
    if name not in _DETAILS:
        reader.fail(f"'{name}' is no layer that this reader knows")
    layer = _DETAILS[name](reader, re.sub(r"_\d*$", "", name))
    _skip_training_state(reader, version)
    return layer


def _skip_training_state(reader: DatReader, version: int) -> None:
    """What dlib keeps for training: three flags, then gradients and the last output."""
    for _ in ("set up", "gradient stale", "getters disabled"):
        reader.flag()
    for _ in ("input gradient", "output", "parameter gradient"):
        reader.tensor()
    if version == _INNERMOST:
        reader.expect(1, "the number of samples per image")


def _plain(kind: str, settings: tuple[int, ...] = ()) -> Layer:
    nothing = np.empty(0, np.float32)
    return Layer(kind, settings, nothing, nothing)


def _read_plain(_reader: DatReader, kind: str) -> Layer:
    return _plain(kind)


def _read_pool(reader: DatReader, kind: str) -> Layer:
    return _plain(kind, reader.integers(6))


def _read_con(reader: DatReader, kind: str) -> Layer:
    params, settings = reader.tensor(), reader.integers(7)
    layer = Layer(kind, settings, *_read_parts(reader, params))
    _skip_multipliers(reader)
    return layer


def _read_affine(reader: DatReader, kind: str) -> Layer:
    layer = Layer(kind, (), *_read_parts(reader, reader.tensor()))
    reader.expect(0, "the mode of an affine layer (0: per channel)")
    return layer


def _read_fc(reader: DatReader, kind: str) -> Layer:
    settings, params = reader.integers(2), reader.tensor()
    layer = Layer(kind, settings, *_read_parts(reader, params))
    reader.expect(1, "the bias mode of a fully connected layer (1: none)")
    _skip_multipliers(reader)
    return layer


def _skip_multipliers(reader: DatReader) -> None:
    """Multipliers of learning rate and weight decay, for weights and for biases."""
    for _ in range(4):
        reader.real()


def _read_parts(
    reader: DatReader, params: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cut a layer's parameters into weight and bias, whose shapes follow in the file."""
    weight, bias = reader.alias(), reader.alias()
    cut = math.prod(weight)
    if cut + math.prod(bias) != params.size:
        reader.fail(f"{params.size} parameters do not make shapes {weight} and {bias}")
    flat = params.ravel()
    return flat[:cut].reshape(weight), flat[cut:].reshape(bias)


_DETAILS: dict[str, Callable[[DatReader, str], Layer]] = {
    "con_4": _read_con,
    "affine_": _read_affine,
    "relu_": _read_plain,
    "max_pool_2": _read_pool,
    "avg_pool_2": _read_pool,
    "add_prev_": _read_plain,
    "fc_2": _read_fc,
}
