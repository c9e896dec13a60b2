import math
from pathlib import Path

import numpy as np
import pytest
from dlib_bytes import CONV, integers, mini_network

from anonbench.errors import UserError
from anonbench.nets.dlib_dat import DatReader, read_network


@pytest.fixture
def mini(tmp_path: Path) -> Path:
    path = tmp_path / "mini.dat"
    path.write_bytes(mini_network())
    return path


@pytest.mark.parametrize(
    ("hexadecimal", "value"),
    [("0100", 0), ("0101", 1), ("8101", -1), ("022c01", 300), ("08ffffffffffffff7f", 2**63 - 1)],
)
def test_integers_as_dlib_packs_them(hexadecimal: str, value: int) -> None:
    reader = DatReader(bytes.fromhex(hexadecimal), "test")
    assert reader.integer() == value
    reader.end()


@pytest.mark.parametrize(
    ("hexadecimal", "value"),
    [
        ("030ad7a3811c", float(np.float32(0.04))),  # the loss layer's margin in the real file
        ("0362 90f5 8111", float(np.float32(122.782))),  # its mean of red
        ("0101 027f02", 2.0**639),
        ("0100 02007d", math.inf),
        ("0100 02017d", -math.inf),
    ],
)
def test_reals_as_dlib_packs_them(hexadecimal: str, value: float) -> None:
    reader = DatReader(bytes.fromhex(hexadecimal), "test")
    assert reader.real() == value
    reader.end()


def test_reads_what_dlib_itself_serialised() -> None:
    dlib = pytest.importorskip("dlib")
    values = [1.0, 2.5, -0.04, 0.0, 1e300, -5e-324, math.pi, math.inf, -math.inf, math.nan]
    (data,) = dlib.vector(values).__getstate__()
    reader = DatReader(data, "test")
    assert reader.integers(2) == (-len(values), -1)  # dlib writes sizes of matrices negated
    np.testing.assert_array_equal([reader.real() for _ in values], values)
    reader.end()


@pytest.mark.parametrize("head", [0x00, 0x09, 0x0F, 0x11, 0x72])
def test_refuses_a_byte_that_starts_no_integer(head: int) -> None:
    with pytest.raises(UserError, match="starts no integer at byte 1"):
        DatReader(bytes([head]) + bytes(16), "test").integer()


def test_layers_come_in_the_order_of_the_forward_pass(mini: Path) -> None:
    network = read_network(mini)
    assert network.mean == (1.0, 10.0, -1.5)
    assert network.size == (4, 6)
    assert [layer.kind for layer in network.layers] == ["con", "tag", "relu"]
    con = network.layers[0]
    assert con.settings == (1, 1, 1, 1, 1, 0, 0)
    np.testing.assert_array_equal(con.weight, np.array([2, 3]).reshape(1, 2, 1, 1))
    np.testing.assert_array_equal(con.bias, np.full((1, 1, 1, 1), 0.5))


def test_every_truncation_is_noticed(mini: Path) -> None:
    whole = mini.read_bytes()
    for length in range(len(whole)):
        mini.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"mini\.dat cannot be read as a dlib network"):
            read_network(mini)


def test_bytes_left_over_are_noticed(mini: Path) -> None:
    mini.write_bytes(mini.read_bytes() + b"\0\0")
    with pytest.raises(UserError, match="2 bytes are left over"):
        read_network(mini)


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n" + bytes(64), b"PK\x03\x04" + bytes(64), b"<html>", b""]
)
def test_foreign_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foreign.dat"
    path.write_bytes(content)
    with pytest.raises(UserError, match="truncated, damaged, or another kind of file"):
        read_network(path)


def test_an_unknown_layer_is_named(mini: Path) -> None:
    mini.write_bytes(mini.read_bytes().replace(b"relu_", b"gelu_"))
    with pytest.raises(UserError, match="'gelu_' is no layer that this reader knows"):
        read_network(mini)


def test_parameters_must_fill_the_declared_shapes(mini: Path) -> None:
    whole = mini.read_bytes()
    wrong = whole.replace(integers(1, 1, 2, 1, 1), integers(1, 1, 3, 1, 1))
    assert CONV in wrong
    assert wrong != whole
    mini.write_bytes(wrong)
    with pytest.raises(UserError, match="3 parameters do not make shapes"):
        read_network(mini)


def test_a_missing_file_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_network(tmp_path / "absent.dat")
