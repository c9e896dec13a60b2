"""`anonbench grid`: a picture with one column per kind of image."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from anonbench.cli.app import app
from anonbench.report.grid import Column, draw_grid

SIDE, GAP, TITLE = 32, 4, 28


def cell(sheet: np.ndarray, column: int, row: int) -> np.ndarray:
    left = GAP + column * (SIDE + GAP)
    top = TITLE + GAP + row * (SIDE + GAP)
    return sheet[top : top + SIDE, left : left + SIDE]


@pytest.mark.usefixtures("anonbench_home")
def test_originals_anonymized_and_recovered_stand_side_by_side(
    people: Path, tmp_path: Path
) -> None:
    out = tmp_path / "pictures" / "faces.png"
    command = ["grid", "--method", "toy-negative,blackout", "--detector", "toy-detector"]
    command += ["--dataset", "folder:folds=4:pairs=40", "--data-root", str(people)]
    command += ["--protocol", "lfw-tar:far=0.05", "--device", "cpu"]
    result = CliRunner().invoke(
        app, [*command, "--count", "2", "--side", str(SIDE), "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    sheet = np.asarray(Image.open(out))
    assert sheet.shape == (TITLE + GAP + 2 * (SIDE + GAP), GAP + 4 * (SIDE + GAP), 3)
    for row in range(2):
        original, published, recovered, black = (cell(sheet, x, row) for x in range(4))
        assert original.std() > 0
        assert not black.any()
        assert not np.array_equal(published, original)
        assert np.array_equal(recovered, original)
    assert not np.array_equal(cell(sheet, 0, 0), cell(sheet, 0, 1))


def test_a_face_that_is_missing_leaves_its_place_empty() -> None:
    grey = np.full((8, 8, 3), 99, np.uint8)
    sheet = np.asarray(draw_grid([Column("a", [grey, None]), Column("b", [grey, grey])], SIDE))
    assert (cell(sheet, 0, 0) == 99).all()
    assert not (cell(sheet, 0, 1) == 99).any()
    assert (cell(sheet, 1, 1) == 99).all()
