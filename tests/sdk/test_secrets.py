"""Secrets: text or bytes; a default only for a secret that is not set."""

import pytest

from danube import DanubeError, secrets
from tests.sdk.session import RecordingSession


def test_a_secret_is_text(session: RecordingSession) -> None:
    session.secrets["TOKEN"] = "grün".encode()
    assert secrets.get("TOKEN") == "grün"
    assert secrets.get("TOKEN", default="none") == "grün"


def test_a_secret_that_is_not_set_is_refused_with_the_command_that_sets_it(session: RecordingSession) -> None:
    with pytest.raises(DanubeError, match="danube secrets set TOKEN") as refusal:
        secrets.get("TOKEN")
    assert refusal.value.reference == "secret-not-set"


def test_a_default_replaces_a_secret_that_is_not_set(session: RecordingSession) -> None:
    assert secrets.get("TOKEN", default="none") == "none"
    assert secrets.get("TOKEN", default="") == ""


def test_a_default_hides_no_other_refusal(session: RecordingSession, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(sequence: int, key: str) -> bytes:
        raise DanubeError("job-ended", "the job has ended")

    monkeypatch.setattr(session, "read_secret", refuse)
    with pytest.raises(DanubeError, match="the job has ended"):
        secrets.get("TOKEN", default="none")


def test_a_secret_that_is_not_text_can_be_read_as_bytes(session: RecordingSession) -> None:
    session.secrets["KEY"] = b"\xff\x00"
    assert secrets.get_bytes("KEY") == b"\xff\x00"
    with pytest.raises(DanubeError, match="get_bytes") as refusal:
        secrets.get("KEY")
    assert refusal.value.reference == "secret-not-text"
