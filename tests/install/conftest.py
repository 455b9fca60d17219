"""What tests of installations have in common."""

import os

import pytest


@pytest.fixture(autouse=True)
def no_power_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of durable writes would take minutes on a busy disk."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
