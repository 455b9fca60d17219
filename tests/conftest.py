"""For all tests: their schedule, which files are left out, and that no property is refuted by a slow machine."""

from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["tests.support.schedule"]

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

ALL_LONG = {"web", "test_document_at_length.py"}
"""Folders and files with long tests only. Their imports take seconds, and each worker would do them."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what has long tests only, in everyday runs."""
    return True if config.option.markexpr == "not long" and collection_path.name in ALL_LONG else None
