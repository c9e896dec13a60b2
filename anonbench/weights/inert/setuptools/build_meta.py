"""A build backend that answers pip's question for metadata without running the project's code.

`pip download` wants a source distribution's metadata before it hands the file over, and asks
the project's backend, whose default runs `setup.py`. With this module in setuptools' place the
answer is the `PKG-INFO` that every source distribution carries, and no code of the archive runs.
The functions are the two hooks of PEP 517 that a download needs.
"""

import shutil
from collections.abc import Mapping
from email.parser import BytesHeaderParser
from pathlib import Path

Settings = Mapping[str, str] | None


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """Nothing is needed: nothing is built."""
    return []


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: Settings = None
) -> str:
    """Copy `PKG-INFO` of the project in the current folder into a `.dist-info` folder."""
    with Path("PKG-INFO").open("rb") as stream:
        headers = BytesHeaderParser().parse(stream)
    name = str(headers["Name"]).replace("-", "_")
    folder = Path(metadata_directory, f"{name}-{headers['Version']}.dist-info")
    folder.mkdir()
    shutil.copy("PKG-INFO", folder / "METADATA")
    return folder.name


class __legacy__:  # noqa: N801  (the name that PEP 517 gives the backend of old projects)
    """The same hooks for projects without a `pyproject.toml`."""

    get_requires_for_build_wheel = staticmethod(get_requires_for_build_wheel)
    prepare_metadata_for_build_wheel = staticmethod(prepare_metadata_for_build_wheel)
