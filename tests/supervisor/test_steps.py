"""How commands end, and what is in their records."""

import os
import shutil
import signal
import subprocess
import sys
from hashlib import blake2b
from pathlib import Path

import pytest

from build_steps.supervisor import build_supervisor
from danube_pkg.core.runtimes.supervisor import (
    Ended,
    InauthenticRecord,
    Output,
    StepSpec,
    encode_request,
    verify_record,
)
from danube_pkg.kit.records import replace
from tests.supervisor.box import KEY, SECONDS, Box, Follow, spec
from tests.support.waiting import wait_until


def test_every_exit_code_from_0_to_255(box: Box) -> None:
    codes = [box.end(spec(f"exit {code}", f"s{code}"))[1].exit_code for code in range(256)]
    assert codes == list(range(256))


@pytest.mark.parametrize(
    ("command", "shell", "output", "exit_code"),
    [
        ("echo one\nno-such-program\necho three", "", b"one\n", 127),
        ("echo one; (exit 7); echo three", "", b"one\n", 7),
        ("if false; then echo no; fi\nfalse || echo two", "", b"two\n", 0),
        ("false | cat", "", b"", 0),
        ("false\necho two", "sh", b"two\n", 0),
        ("(exit 9) | cat\necho two", "bash -euo pipefail", b"", 9),
        ("print('a' + 'b')", f"{sys.executable} -I", b"ab\n", 0),
        ("echo $0 $#", "sh -c 'exec \"$@\"' x sh", b"sh 0\n", 0),
    ],
)
def test_a_command_stops_at_its_first_failure_as_its_shell_says(
    box: Box, command: str, shell: str, output: bytes, exit_code: int
) -> None:
    printed, record = box.end(spec(command, shell=shell))
    lines = b"".join(line + b"\n" for line in printed.splitlines() if b"not found" not in line)
    assert (lines, record.exit_code) == (output, exit_code)


def test_a_shell_that_the_image_does_not_have_is_named(box: Box) -> None:
    _, record = box.end(spec("true", shell="no-such-shell -e"))
    assert record.start_error == "exec: no-such-shell: No such file or directory"


def test_a_signal_is_recorded_instead_of_an_exit_code(box: Box) -> None:
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV):
        _, record = box.end(spec(f"kill -{int(number)} $$", f"s{int(number)}"))
        assert (record.exit_code, record.signal) == (None, number)


def test_output_of_both_streams_in_order_and_its_hash(box: Box) -> None:
    output, record = box.end(spec("echo one; echo two >&2; echo three; echo x > /dev/stderr; printf end"))
    assert output == b"one\ntwo\nthree\nx\nend"
    assert record.output_bytes == len(output)
    assert record.output_hash == blake2b(output, digest_size=32).digest()
    assert record.wall_us > 0


def test_binary_output_passes_unchanged(box: Box) -> None:
    output, _ = box.end(spec("head -c 300000 /dev/urandom | tee /tmp/danube-test-$$; rm /tmp/danube-test-$$"))
    assert len(output) == 300000


def test_environment_working_directory_and_empty_input(box: Box) -> None:
    step = spec(
        'echo "$GREETING"; pwd; cat; ps -o pid= | head -1', environment={"GREETING": "a=b c"}, working_directory="/usr"
    )
    assert box.end(step)[0].startswith(b"a=b c\n/usr\n")


def test_argument_lists_contain_nothing_of_a_step(box: Box) -> None:
    step = spec("echo started; : " + "x" * 10 + "; read line < /dev/zero", environment={"TOKEN": "t0ps3cret"})
    follow = box.run(step)
    follow.read_until(b"started")
    listings = [p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if p.exists()]
    assert not any(b"t0ps3cret" in listing for listing in listings)
    box.run(spec(None), kill=True).frames_to_end()
    follow.frames_to_end()


def test_a_stop_right_after_the_start_takes_effect(box: Box) -> None:
    for number in range(100):
        step = spec("exec sleep 1000", f"s{number}", grace_ms=600_000)
        follow = box.run(step)
        first = follow.read()
        box.run(replace(spec(None, f"s{number}"), grace_ms=0), kill=True).frames_to_end()
        last = [*first, *follow.frames_to_end()][-1]
        assert isinstance(last, Ended)
        record = verify_record(last.payload, step.key, step.step_id, step.attempt)
        assert (record.killed, record.signal) == (True, signal.SIGTERM)


def test_a_working_directory_that_does_not_exist(box: Box) -> None:
    _, record = box.end(spec("true", working_directory="/no/such/place"))
    assert "working directory: /no/such/place" in record.start_error
    assert record.exit_code is None or record.exit_code == 127


def test_an_image_without_a_shell(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "proc").mkdir(parents=True)
    (root / "dev").mkdir()
    (root / "dev" / "null").touch()
    shutil.copy(build_supervisor("danube-step"), root)
    box = Box(tmp_path, root=root)
    output, record = box.end(spec("/danube-step 'version'"))
    assert (output, record.exit_code) == (b"danube-step 1\n", 0)
    _, record = box.end(spec("no-such-program --flag", "s2"))
    assert "exec: no-such-program" in record.start_error
    box.close()


def test_kill_everything_does_not_reach_the_supervisor(box: Box) -> None:
    other = box.run(spec("echo up; sleep 60", "other"))
    other.read_until(b"up")
    output, record = box.end(spec("echo before; kill -9 -1; echo after; exit 5"))
    assert output == b"before\nafter\n"
    assert record.exit_code == 5
    last = other.frames_to_end()[-1]
    assert isinstance(last, Ended)
    assert verify_record(last.payload, KEY, "other", 1).signal == signal.SIGKILL
    assert box.end(spec("echo alive", "third"))[0] == b"alive\n"


def test_the_supervisor_cannot_be_stopped_traced_or_read_from_inside(box: Box) -> None:
    _, record = box.end(spec("kill -9 1; kill -TERM 1; kill -STOP 1; kill -INT 1; true"))
    assert record.exit_code == 0
    for number, target in enumerate(("environ", "mem", "maps", "fd/0", "exe", "root/etc/passwd")):
        output, record = box.end(spec(f"cat /proc/1/{target}", f"read{number}"))
        assert record.exit_code == 1, target
        assert b"denied" in output, target


@pytest.mark.parametrize("stop", ["kill -STOP $PPID", "kill -STOP -1"])
def test_a_step_that_stops_its_reaper_ends_as_if_it_had_not(box: Box, stop: str) -> None:
    output, record = box.end(spec(f"{stop}; echo after; exit 5"))
    assert (output, record.exit_code) == (b"after\n", 5)


def test_a_step_that_keeps_stopping_its_reaper_ends_at_its_timeout(box: Box) -> None:
    _, record = box.end(spec("while :; do kill -STOP $PPID; done", timeout_ms=300, grace_ms=100))
    assert (record.timed_out, record.signal) == (True, signal.SIGTERM)


def test_a_step_cannot_write_itself_a_success(box: Box) -> None:
    fakes = "; ".join(
        f"printf 'E\\0\\0\\0\\0' > {target}" for target in ("/dev/stdout", "/dev/stderr", "/proc/self/fd/1")
    )
    follow = box.run(spec(f"{fakes}; exit 9"))
    frames = follow.frames_to_end()
    last = frames[-1]
    assert isinstance(last, Ended)
    assert verify_record(last.payload, KEY, "s1", 1).exit_code == 9
    changed = bytearray(last.payload)
    changed[40] ^= 1
    with pytest.raises(InauthenticRecord):
        verify_record(bytes(changed), KEY, "s1", 1)
    with pytest.raises(InauthenticRecord):
        verify_record(last.payload, bytes(32), "s1", 1)
    with pytest.raises(InauthenticRecord):
        verify_record(last.payload, KEY, "s1", 2)


def test_a_step_that_claims_another_steps_place_cannot_fake_its_record(box: Box, tmp_path: Path) -> None:
    forged = tmp_path / "request"
    forged.write_bytes(encode_request(StepSpec("victim", 1, bytes(32), "exit 0"), 0))
    box.end(spec(f"{box.binary} run < {forged} > /dev/null"))
    assert box.run(StepSpec("victim", 1, KEY, "exit 1")).refusal() == "wrong-key"


def test_background_children_do_not_keep_a_step_open(box: Box) -> None:
    output, record = box.end(
        spec("sleep 1000 & setsid sleep 1000 & (setsid sh -c 'sleep 1000 & sleep 1000' &) ; echo done")
    )
    assert output == b"done\n"
    assert record.exit_code == 0
    assert record.leftovers >= 3
    left, _ = box.end(spec("ps -e | grep -c 'sleep$' || true", "count"))
    assert left.strip() == b"0"


def test_a_tree_that_ignores_term_is_killed(box: Box) -> None:
    step = spec("trap '' TERM; (trap '' TERM; sleep 1000; sleep 1000) & echo up; sleep 1000; sleep 1000")
    follow = box.run(step)
    follow.read_until(b"up")
    assert isinstance(box.run(spec(None), kill=True).frames_to_end()[-1], Ended)
    last = follow.frames_to_end()[-1]
    assert isinstance(last, Ended)
    record = verify_record(last.payload, KEY, "s1", 1)
    assert (record.killed, record.signal) == (True, signal.SIGKILL)
    assert record.wall_us < 5_000_000, "the grace is not that of the supervisor's arguments"


def test_a_timeout_is_enforced_without_any_server(box: Box) -> None:
    follow = box.run(spec("echo up; sleep 1000", timeout_ms=300))
    follow.read_until(b"up")
    follow.close()
    _, record = box.end(spec(None))
    assert record.timed_out
    assert record.signal == signal.SIGTERM


def test_a_full_disk_affects_the_command_only(box: Box) -> None:
    output, record = box.end(spec("echo x > /dev/full || echo full; exit 4"))
    assert b"full" in output
    assert record.exit_code == 4


def test_cpu_time_and_peak_memory_are_measured(box: Box) -> None:
    _, record = box.end(spec("exec python3 -c 'x = bytearray(60 << 20); sum(range(10**6))'"))
    assert record.user_us > 10_000
    assert record.peak_memory_bytes > 60 << 20


def test_term_from_outside_ends_the_supervisor_at_once(box: Box) -> None:
    box.end(spec("true"))
    os.kill(box.init_pid, signal.SIGTERM)
    wait_until(lambda: box.process.poll() is not None, 10, "the supervisor to end")
    box.close = lambda: None  # type: ignore[method-assign]


def test_a_program_started_from_outside_ends_the_container_and_a_step_does_not(box: Box) -> None:
    """The runtime of a cluster starts programs beside PID 1, with no parent in the container, as `nsenter` does."""
    output, record = box.end(spec(f"kill -TERM 1; timeout 0.5 {box.binary} end || echo $?"))
    assert (output, record.exit_code) == (b"124\n", 0)
    box.nsenter(str(box.binary), "end")
    wait_until(lambda: box.process.poll() is not None, SECONDS, "the container to end")
    box.close = lambda: None  # type: ignore[method-assign]


def test_at_most_sixty_four_steps_run_at_once(box: Box) -> None:
    follows: list[Follow] = []
    for number in range(64):
        follow = box.run(spec("echo up; sleep 100", f"s{number}"))
        follow.read_until(b"up")
        follows.append(follow)
    assert box.run(spec("true", "one-more")).refusal() == "too-many-steps"
    for follow in follows:
        follow.close()


def test_an_output_frame_is_never_larger_than_the_protocol_says(box: Box) -> None:
    frames = box.run(spec("head -c 5000000 /dev/zero")).frames_to_end()
    assert sum(len(f.data) for f in frames if isinstance(f, Output)) == 5_000_000


@pytest.mark.parametrize(
    "options",
    [["--heartbeat-ms", "0"], ["--grace-ms", "soon"], ["--grace-ms"], ["--exec-fd", "-1"], ["--unknown", "1"]],
)
def test_idle_refuses_wrong_options(options: list[str]) -> None:
    program = build_supervisor("danube-step")
    done = subprocess.run([program, "idle", *options], check=False, capture_output=True, text=True, timeout=SECONDS)
    assert (done.returncode, done.stderr.split()[:3]) == (2, ["usage:", "danube-step", "idle"])
