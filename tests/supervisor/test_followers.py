"""Clients disconnect and reconnect; a follower gets every byte from any offset that is held."""

import os
import random
import threading
from pathlib import Path

from danube_pkg.core.runtimes.supervisor import (
    Ended,
    Frame,
    Heartbeat,
    Output,
    Refused,
    Started,
    encode_request,
    verify_record,
)
from tests.supervisor.box import KEY, Box, Follow, spec
from tests.support.waiting import wait_until

COUNT = "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done"


def expected() -> bytes:
    return b"".join(b"line %d\n" % n for n in range(300))


def test_a_new_follower_at_every_possible_offset(box: Box) -> None:
    output, _ = box.end(spec("printf 'every byte counts here'"))
    for offset in range(len(output) + 1):
        frames = box.run(spec(None), offset).frames_to_end()
        assert b"".join(bytes(f.data) for f in frames if isinstance(f, Output)) == output[offset:]
        assert isinstance(frames[-1], Ended)
    assert box.run(spec(None), len(output) + 1).refusal() == "offset-gone"


def test_a_connection_that_closes_anywhere_loses_nothing(box: Box) -> None:
    chance = random.Random(7)
    step = spec("i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); [ $((i%10)) -ne 0 ] || sleep 0.01; done")
    output, step_now = b"", step
    for _ in range(500):
        follow = box.run(step_now, len(output))
        step_now = spec(None)
        for _ in range(chance.randrange(1, 4)):
            frames = follow.read()
            for frame in frames:
                if isinstance(frame, Output):
                    assert frame.offset == len(output)
                    output += bytes(frame.data)
            if any(isinstance(frame, Ended) for frame in frames):
                assert output == expected()
                follow.close()
                return
        follow.close()
    raise AssertionError("the step never ended")


def test_two_followers_see_the_same_and_two_runs_start_once(box: Box, tmp_path_factory: object) -> None:
    step = spec(f"echo $$ >> /tmp/danube-runs-{os.getpid()}; sleep 0.2; {COUNT}")
    both = [box.run(step), box.run(step)]
    found = [b"".join(bytes(f.data) for f in follow.frames_to_end() if isinstance(f, Output)) for follow in both]
    assert found == [expected(), expected()]
    runs, _ = box.end(spec(f"wc -l < /tmp/danube-runs-{os.getpid()}; rm /tmp/danube-runs-{os.getpid()}", "count"))
    assert runs.strip() == b"1"


def test_a_hundred_megabytes(box: Box) -> None:
    follow = box.run(spec("head -c 104857600 /dev/zero"))
    size, frames = 0, list[Frame]()
    while not any(isinstance(f, Ended) for f in frames):
        frames = follow.read()
        assert frames, "the stream ended before its last frame"
        size += sum(len(f.data) for f in frames if isinstance(f, Output))
    follow.close()
    assert size == 104857600


def test_a_reader_that_stops_reading_makes_the_step_wait_and_nothing_is_lost(box: Box) -> None:
    step = spec("head -c 50000000 /dev/zero | tr '\\0' x; echo; echo done > /dev/null")
    lazy = box.run(step, ack=False)
    assert lazy.read()
    wait_until(lambda: stalled(box), 20, "the step to wait")
    lazy.close()
    output, record = box.end(spec(None))
    assert len(output) == record.output_bytes == 50_000_001


def stalled(box: Box) -> bool:
    """The step waits: the ring is full of output that no follower has acknowledged."""
    frames = box.run(spec(None), 0, ack=False)
    started = next(f for f in frames.read() if isinstance(f, Started))
    frames.close()
    return started.written == 8 << 20


def test_an_offset_that_was_overwritten_is_refused(box: Box) -> None:
    box.end(spec("head -c 20000000 /dev/zero"))
    assert box.run(spec(None), 0).refusal() == "offset-gone"
    frames = box.run(spec(None), 20_000_000 - 1000).frames_to_end()
    assert sum(len(f.data) for f in frames if isinstance(f, Output)) == 1000


def test_unacknowledged_output_of_any_size_is_kept(box: Box) -> None:
    """Many steps ended while the server was unreachable; fetching the output of one must not discard that of
    another."""
    size = (8 << 20) - 1
    for number in range(10):
        follow = box.run(spec(f"head -c {size} /dev/zero", f"s{number}"), ack=False)
        assert follow.read()
        follow.close()
    for number in range(10):
        output, record = box.end(spec(None, f"s{number}"))
        assert len(output) == record.output_bytes == size


def test_acknowledged_output_is_reduced_to_its_tail(box: Box) -> None:
    for number in range(10):
        box.end(spec("head -c 8000000 /dev/zero", f"s{number}"))
    wait_until(lambda: resident_bytes(box) < (10 + 16) << 20, 10, "ten tails of a megabyte and a little more")


def resident_bytes(box: Box) -> int:
    pages = int(Path(f"/proc/{box.init_pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_a_request_that_is_cut_in_the_middle_starts_nothing(box: Box) -> None:
    request = encode_request(spec("echo started > /tmp/should-not-exist"), 0)
    for size in (1, 4, 8, 20, len(request) // 2, len(request) - 1):
        follow = Follow(box.exec("danube-step", "run"), request[:size], ack=False)
        follow._written.join()
        os.close(follow.program.stdin)
        follow.program.stdin = -1
        assert follow.refusal() == "bad-request"
    assert box.run(spec(None)).refusal() == "unknown-step"


def test_a_request_with_a_changed_byte_is_refused(box: Box) -> None:
    request = bytearray(encode_request(spec("true"), 0))
    request[30] ^= 4
    assert Follow(box.exec("danube-step", "run"), bytes(request), ack=False).refusal() == "bad-checksum"


def test_another_key_is_refused_and_the_step_continues(box: Box) -> None:
    follow = box.run(spec("echo up; sleep 0.3; echo end"))
    follow.read_until(b"up")
    other = Follow(
        box.exec("danube-step", "kill"),
        encode_request(type(spec(None))("s1", 1, bytes(32)), 0, kill=True),
        ack=False,
    )
    assert other.refusal() == "wrong-key"
    last = follow.frames_to_end()[-1]
    assert isinstance(last, Ended)
    assert verify_record(last.payload, KEY, "s1", 1).exit_code == 0


def test_silence_is_filled_with_heartbeats(box: Box) -> None:
    follow = box.run(spec("printf started; exec sleep 1000"))
    follow.read_until(b"started")
    for _ in range(3):
        assert set(follow.read()) == {Heartbeat(len(b"started"))}
    follow.close()


def test_the_exec_socket_runs_programs_with_their_exit_codes(box: Box) -> None:
    program = box.exec("/bin/sh", "-c", "cat; exit 12")
    os.write(program.stdin, b"through")
    os.close(program.stdin)
    program.stdin = -1
    assert os.read(program.stdout, 100) == b"through"
    assert program.exit() == ("X", 12)
    program.close()
    killed = box.exec("/bin/sh", "-c", "kill -9 $$")
    assert killed.exit() == ("S", 9)
    killed.close()


def test_many_followers_at_once(box: Box) -> None:
    box.run(spec(f"sleep 0.2; {COUNT}")).read()
    results: list[bytes] = []

    def follow() -> None:
        frames = box.run(spec(None)).frames_to_end()
        assert not isinstance(frames[-1], Refused)
        results.append(b"".join(bytes(f.data) for f in frames if isinstance(f, Output)))

    threads = [threading.Thread(target=follow, daemon=True) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == [expected()] * 20
