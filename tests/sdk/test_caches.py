"""`cache` and `hash_files`: restored by the call, kept at the end of what ended well."""

import os
from pathlib import Path

import pytest
from danube._caches import save_unsaved
from danube._legs import RunningLeg

from danube import DanubeError, _open_steps, cache, hash_files, step
from tests.sdk.session import RecordingSession, fail


@pytest.fixture(autouse=True)
def nothing_unsaved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("danube._caches._unsaved", [])


def test_it_is_restored_before_the_first_step_and_kept_after_the_last(session: RecordingSession) -> None:
    with cache("pip", paths=["~/.cache/pip"], key="k", fallback="v1-", image="python:3.12") as found:
        assert (len(session.restored), session.calls, session.saved) == (1, [], [])
        assert (found.hit, found.restored_key) == (False, "k")
        step.run("pip install .")
        assert session.saved == []
    save_unsaved()
    (call,) = session.saved
    assert session.restored == [call]
    assert (call.sequence, call.name, call.key, call.paths) == (1, "pip", "k", ("~/.cache/pip",))
    assert (call.fallback, call.image) == (("v1-",), "python:3.12")


@pytest.mark.parametrize(("outcome", "saved"), [("hit", 0), ("fallback", 1), ("miss", 1), ("off", 0)])
def test_only_a_new_key_is_kept(session: RecordingSession, outcome: str, saved: int) -> None:
    session.cached["pip"] = outcome
    with cache("pip", paths=["a"], key="k"):
        step.run("make")
    assert len(session.saved) == saved


def test_a_block_that_fails_keeps_nothing(session: RecordingSession) -> None:
    session.ends["make"] = fail
    with pytest.raises(DanubeError), cache("pip", paths=["a"], key="k"):
        step.run("make")
    save_unsaved()
    assert session.saved == []


def test_a_cache_without_a_block_is_kept_at_the_end(session: RecordingSession) -> None:
    cache("pip", paths=["a"], key="k")
    cache("npm", paths=["b"], key="k")
    step.run("make")
    assert session.saved == []
    save_unsaved()
    assert [call.name for call in session.saved] == ["pip", "npm"]


def test_a_block_whose_step_still_runs_keeps_nothing(
    session: RecordingSession, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_open_steps, "without_end", known := {1: "database"})
    monkeypatch.setattr("danube._caches.without_end", known)
    with cache("pip", paths=["a"], key="k"):
        known[2] = "fill"
    assert (session.saved, "step 'fill' has not ended" in capsys.readouterr().out) == ([], True)
    del known[2]
    with cache("pip", paths=["a"], key="k"):
        step.run("make")
    assert len(session.saved) == 1  # the step outside of the block may run


@pytest.mark.parametrize(
    "arguments",
    [
        {"paths": "~/.cache/pip", "key": "k"},
        {"paths": [1], "key": "k"},
        {"paths": ["a"], "key": 3},
        {"paths": ["a"], "key": "k", "fallback": [1]},
        {"paths": ["a"], "key": "k", "image": 1},
    ],
)
def test_what_is_not_a_text_is_refused(session: RecordingSession, arguments: dict[str, object]) -> None:
    with pytest.raises(DanubeError) as refused:
        cache("pip", **arguments)  # type: ignore[arg-type]
    assert refused.value.reference == "cache-invalid"
    assert session.restored == []


def test_a_hash_depends_on_names_and_contents_alone(session: RecordingSession) -> None:
    top = Path(session.workspace)
    (top / "sub").mkdir()
    (top / "a.txt").write_text("one")
    (top / "sub" / "b.txt").write_text("two")
    first = hash_files("*.txt", "sub/*")
    assert (len(first), int(first, 16) > 0) == (40, True)
    assert hash_files("sub/b.txt", "**/a.txt", "a.txt", "missing") == first
    (top / "a.txt").chmod(0o755)
    os.utime(top / "a.txt", (0, 0))
    assert hash_files("*.txt", "sub/*") == first
    assert hash_files("a.txt") != hash_files("sub/b.txt") != first
    found = {first, hash_files("a.txt")}
    (top / "a.txt").write_text("one\n")
    found.add(hash_files("a.txt"))
    (top / "a.txt").rename(top / "c.txt")
    found.add(hash_files("c.txt"))
    (top / "on").write_text("etwo")  # the same bytes in a row, divided elsewhere
    (top / "one").write_text("two")
    found |= {hash_files("on"), hash_files("one")}
    assert len(found) == 6


def test_a_hash_needs_files_of_the_workspace(
    session: RecordingSession, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "secret"
    outside.write_text("x")
    (Path(session.workspace) / "link.txt").symlink_to(outside)
    (Path(session.workspace) / "directory").mkdir()
    references = []
    for patterns in ((), ("none*",), ("directory",), ("link.txt",), ("../*/secret",), (str(outside),)):
        with pytest.raises(DanubeError) as refused:
            hash_files(*patterns)
        references.append(refused.value.reference)
    assert references == ["cache-no-files"] * 3 + ["cache-outside"] * 3


def test_an_isolated_leg_has_none_and_hashes_its_own_files(
    session: RecordingSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = tmp_path / "leg"
    workspace.mkdir()
    (workspace / "a.txt").write_text("of the leg")
    (tmp_path / "a.txt").write_text("of the job")
    of_the_job = hash_files("a.txt")
    shared, isolated = RunningLeg("one", str(tmp_path)), RunningLeg("two", str(workspace), isolation=1)
    monkeypatch.setattr("danube._caches.current_leg", lambda: shared)
    assert hash_files("a.txt") == of_the_job
    cache("pip", paths=["a"], key="k")
    monkeypatch.setattr("danube._caches.current_leg", lambda: isolated)
    assert hash_files("a.txt") != of_the_job
    with pytest.raises(DanubeError, match="around the matrix"):
        cache("pip", paths=["a"], key="k")
