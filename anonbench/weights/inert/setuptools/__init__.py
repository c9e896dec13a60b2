"""A stand-in for setuptools that runs nothing; see `build_meta`."""
