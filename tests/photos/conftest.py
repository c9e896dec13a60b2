"""Secrets that cost nothing to use."""

import pytest


@pytest.fixture
def cheap_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Derives keys in no time; what it really costs is tested once."""
    monkeypatch.setattr("anonbench.photos.keys._COST", 2**4)
