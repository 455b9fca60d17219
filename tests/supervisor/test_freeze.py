"""A step that is frozen: nothing of it runs, its timeout does not either, and it can be ended."""

from pathlib import Path

from danube_pkg.core.runtimes.supervisor import Ended, Heartbeat, Output, Refused, Started, verify_record
from danube_pkg.kit.records import replace
from tests.supervisor.box import KEY, SECONDS, Box, Follow, spec
from tests.support.waiting import wait_until

ENDLESS = "while :; do echo line; sleep 0.01; done"


def read_until(follow: Follow, text: bytes) -> None:
    """Until the output has it."""
    seen = b""
    while text not in seen:
        frames = follow.read()
        assert frames, seen
        seen += b"".join(bytes(frame.data) for frame in frames if isinstance(frame, Output))


def test_a_frozen_step_runs_nothing_until_it_is_thawed(box: Box) -> None:
    step = spec(ENDLESS)
    follow = box.run(step)
    read_until(follow, b"line")
    assert isinstance(box.call("freeze", step), Started)
    wait_until(lambda: set(box.states()) == {"T"}, SECONDS, "every process is stopped")
    written = box.call("freeze", step)
    assert isinstance(written, Started)
    again = box.call("freeze", step)
    assert isinstance(again, Started)
    assert again.written == written.written
    assert isinstance(box.call("thaw", step), Started)
    wait_until(lambda: set(box.states()) != {"T"}, SECONDS, "a process that runs again")
    assert box.run(step, kill=True).frames_to_end()


def test_a_step_that_starts_processes_all_the_time_is_frozen_as_a_whole(box: Box) -> None:
    step = spec("forks() { while :; do (true); done; }; forks & forks & forks & echo up; wait")
    read_until(box.run(step), b"up")
    assert isinstance(box.call("freeze", step), Started)
    wait_until(lambda: set(box.states()) == {"T"}, SECONDS, "every process is stopped")
    assert box.run(step, kill=True).frames_to_end()


def test_the_timeout_does_not_run_while_a_step_is_frozen(box: Box, tmp_path: Path) -> None:
    end = tmp_path / "end"
    step = spec(f"echo up; while ! test -e {end}; do sleep 0.01; done", timeout_ms=2000)
    follow = box.run(step)
    read_until(follow, b"up")
    assert isinstance(box.call("freeze", step), Started)
    beats = 0
    while beats < 50:  # at least 50 ms each, so longer than the timeout
        beats += sum(isinstance(frame, Heartbeat) for frame in follow.read())
    end.touch()
    assert isinstance(box.call("thaw", step), Started)
    last = follow.frames_to_end()[-1]
    assert isinstance(last, Ended)
    record = verify_record(last.payload, KEY, step.step_id, step.attempt)
    assert (record.exit_code, record.timed_out) == (0, False)


def test_a_frozen_step_that_is_stopped_can_clean_up(box: Box) -> None:
    step = spec("trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.01; done", grace_ms=30_000)
    follow = box.run(step)
    read_until(follow, b"up")
    assert isinstance(box.call("freeze", step), Started)
    box.run(step, kill=True)
    frames = follow.frames_to_end()
    assert b"bye" in b"".join(bytes(frame.data) for frame in frames if isinstance(frame, Output))
    assert isinstance(frames[-1], Ended)


def test_only_the_holder_of_the_key_freezes_a_step_that_exists(box: Box) -> None:
    step = spec(ENDLESS)
    read_until(box.run(step), b"line")
    refused = box.call("freeze", replace(step, key=bytes(32)))
    assert isinstance(refused, Refused)
    assert refused.code == "wrong-key"
    unknown = box.call("freeze", replace(step, step_id="s2"))
    assert isinstance(unknown, Refused)
    assert unknown.code == "unknown-step"
