"""For all tests: their schedule, which files are left out, and that no property is refuted by a slow machine."""

from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["tests.support.schedule"]

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

ONLY = {"web": "long", "test_document_at_length.py": "fuzz"}
"""Folders and files with tests of one mark only. Their imports take seconds, and each worker would do them."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what has no test of this run."""
    mark = ONLY.get(collection_path.name)
    return True if mark is not None and f"not {mark}" in config.option.markexpr else None
