"""Where anonbench keeps what it fetched and computed."""

import os
from pathlib import Path

from platformdirs import user_cache_path

from anonbench.errors import StoreError
from anonbench.files import private_folder


def home() -> Path:
    """The cache folder, created with mode 0700: it holds faces and embeddings.

    `ANONBENCH_HOME` overrides the platform's user cache folder.

    Raises:
        StoreError: The folder cannot be created.
    """
    override = os.environ.get("ANONBENCH_HOME")
    folder = Path(override).expanduser() if override else user_cache_path("anonbench")
    try:
        return private_folder(folder)
    except OSError as error:
        raise StoreError(
            f"The cache folder {folder} cannot be created: {error.strerror}.",
            mend="Set ANONBENCH_HOME to a folder that you can write.",
        ) from error
