"""Where a dataset is looked for, and what a user reads when it is nowhere."""

from collections.abc import Callable
from pathlib import Path

import pytest

from anonbench import registry, weights
from anonbench.data import locate, open_dataset
from anonbench.errors import BadConfig, BadData, MissingArtefact, UnknownName

pytestmark = pytest.mark.usefixtures("anonbench_home")


@pytest.mark.parametrize("below", ["orl", "."])
def test_data_root_is_the_dataset_or_holds_it(
    make_orl: Callable[[], Path], tmp_path: Path, below: str
) -> None:
    made = make_orl()
    root = tmp_path if below == "orl" else made
    assert locate(registry.datasets.card("orl"), root) == made


def test_missing_dataset_names_places_layout_and_command(tmp_path: Path) -> None:
    with pytest.raises(MissingArtefact) as caught:
        open_dataset("lfw", tmp_path)
    error = caught.value
    assert f"in {tmp_path} or {tmp_path / 'lfw'}" in error.what
    assert "pairs.txt" in error.why
    assert "anonbench fetch lfw;" in error.mend and "--data-root" in error.mend


def test_dataset_that_cannot_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(MissingArtefact) as caught:
        open_dataset("folder")
    assert "fetch" not in caught.value.mend and "--data-root" in caught.value.mend
    assert open_dataset("folder", tmp_path).root == tmp_path


def test_mistyped_data_root(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="There is no folder"):
        open_dataset("orl", tmp_path / "dtaa")


def test_fetched_copy_is_found(
    make_orl: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = make_orl()
    monkeypatch.setattr(weights, "is_present", lambda name: name == "orl")
    monkeypatch.setattr(weights, "path", lambda name: fetched)
    (tmp_path / "other").mkdir()
    assert locate(registry.datasets.card("orl"), None) == fetched
    assert locate(registry.datasets.card("orl"), tmp_path / "other") == fetched


def test_unknown_dataset_and_setting() -> None:
    with pytest.raises(UnknownName, match="Did you mean lfw"):
        open_dataset("lwf")
    with pytest.raises(BadConfig, match="no setting of the dataset 'orl'"):
        open_dataset("orl:seed=1")


def test_every_fetchable_dataset_is_in_the_catalogue() -> None:
    artefacts = {registry.datasets.card(name).artefact for name in registry.datasets.names()}
    assert artefacts - {""} <= weights.catalogue().keys()
