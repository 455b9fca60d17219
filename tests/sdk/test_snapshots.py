"""`step.run(…, snapshot=…)`: what is refused, and what a restored step is."""

from pathlib import Path

import pytest
from danube._legs import RunningLeg
from danube._results import StepResult
from danube._session import StepCall
from danube._snapshots import MAX_KEY_LENGTH

from danube import DanubeError, hash_files, step
from danube_pkg.core.caches.cache import MAX_KEY_LENGTH as SERVERS_KEY_LENGTH
from tests.sdk.session import RecordingSession


def restored(call: StepCall) -> StepResult:
    return StepResult(call.name, "restored", 0, 0.0, sequence=call.sequence, raw_output=b"done\n", restored_from="01h")


def test_the_key_is_sent_and_a_restored_step_is_a_success(session: RecordingSession, tmp_path: Path) -> None:
    (Path(session.workspace) / "package-lock.json").write_text("{}")
    session.ends["npm ci"] = restored
    result = step.run("npm ci", snapshot=hash_files("package-lock.json"))
    assert session.calls[0].snapshot == hash_files("package-lock.json")
    assert (result.ok, result.status, result.restored_from, result.output) == (True, "restored", "01h", "done\n")
    step.run("make")
    assert session.calls[1].snapshot == ""


@pytest.mark.parametrize("key", ["", "a\nb", "x" * (MAX_KEY_LENGTH + 1)])
def test_a_key_that_no_snapshot_can_have_is_refused(session: RecordingSession, key: str) -> None:
    with pytest.raises(DanubeError, match="1 to 512 printable characters"):
        step.run("npm ci", snapshot=key)
    assert session.calls == []
    assert MAX_KEY_LENGTH == SERVERS_KEY_LENGTH, "the SDK cannot import the server's bound"


def test_isolated_legs_and_clean_up_have_none(session: RecordingSession, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DanubeError, match="has no snapshot"):
        step.run("npm ci", snapshot="k", cleanup=True)
    leg = RunningLeg("one", session.workspace, isolation=1)
    monkeypatch.setattr("danube.step.current_leg", lambda: leg)
    with pytest.raises(DanubeError, match="has no snapshot"):
        step.run("npm ci", snapshot="k")
    assert session.calls == []
