"""A job's session for each test, set as the coordinator sets it."""

from pathlib import Path

import pytest

from danube import _kept_on_failure, _open_steps, _session
from tests.sdk.session import RecordingSession


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecordingSession:
    made = RecordingSession(tmp_path)
    monkeypatch.setattr(_session, "_current", made)
    monkeypatch.setattr(_open_steps, "without_end", {})
    _open_steps.failed.clear()
    _kept_on_failure.registered.clear()
    return made
