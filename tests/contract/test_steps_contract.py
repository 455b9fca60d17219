"""The contract of the supervisor in every runtime's containers: `core/runtimes/supervisor.py` over `exec`."""

import contextlib
import signal
from collections.abc import Sequence

import pytest

from danube_pkg.core.errors import Unavailable
from danube_pkg.core.runtimes.pods import SUPERVISOR, Container
from danube_pkg.core.runtimes.ports import ExecStream
from danube_pkg.core.runtimes.supervisor import (
    Ended,
    Frame,
    FrameParser,
    Heartbeat,
    InauthenticRecord,
    Output,
    Refused,
    Started,
    StepRecord,
    StepSpec,
    encode_ack,
    encode_request,
    verify_record,
)
from tests.contract.pods import COUNT, LINES, ContractPods
from tests.support.waiting import wait_until_true

KEY = bytes(range(32))


def spec(command: str | None, **changes: object) -> StepSpec:
    return StepSpec("step-1", 1, KEY, command, **changes)  # type: ignore[arg-type]


class Follow:
    """One call of `danube-step run` or `kill`, as a server makes it."""

    def __init__(self, stream: ExecStream, offset: int = 0, *, acknowledges: bool) -> None:
        self._stream = stream
        self._offset = offset
        self._acknowledges = acknowledges
        self._parser = FrameParser()

    @classmethod
    async def begin(
        cls,
        pods: ContractPods,
        container: Container,
        step: StepSpec,
        offset: int = 0,
        *,
        kill: bool = False,
        acknowledges: bool = True,
    ) -> "Follow":
        stream = await pods.runtime.exec(container, (SUPERVISOR, "kill" if kill else "run"))
        await stream.write(encode_request(step, offset, kill=kill))
        return cls(stream, offset, acknowledges=acknowledges and not kill)

    async def frames(self) -> list[Frame]:
        """The next frames; empty at the end."""
        while data := await self._stream.read():
            found = [
                Output(frame.offset, memoryview(bytes(frame.data))) if isinstance(frame, Output) else frame
                for frame in self._parser.feed(data)
            ]
            for frame in found:
                if isinstance(frame, Output):
                    self._offset = frame.offset + len(frame.data)
            if self._acknowledges and any(isinstance(frame, Started | Output) for frame in found):
                with contextlib.suppress(Unavailable):  # the step has ended, and its supervisor reads no more
                    await self._stream.write(encode_ack(self._offset))
            if found:
                return found
        return []

    async def acknowledge(self, offset: int) -> None:
        await self._stream.write(encode_ack(offset))

    async def to_end(self) -> list[Frame]:
        """All frames. A supervisor ends the stream some time after the last one, should nothing be acknowledged."""
        found: list[Frame] = []
        while not any(isinstance(one, Ended) for one in found) and (some := await self.frames()):
            found += some
        await self._stream.close()
        return found

    async def until(self, text: bytes) -> bytes:
        """The output so far, once it holds `text`."""
        printed = b""
        while text not in printed:
            some = await self.frames()
            assert some, f"the stream ended before {text!r}: {printed!r}"
            printed += output_of(some)
        return printed

    async def close(self) -> None:
        await self._stream.close()


def output_of(frames: Sequence[Frame]) -> bytes:
    return b"".join(bytes(frame.data) for frame in frames if isinstance(frame, Output))


def record_of(frames: Sequence[Frame]) -> StepRecord:
    last = frames[-1]
    assert isinstance(last, Ended), last
    return verify_record(last.payload, KEY, "step-1", 1)


def refusal_of(frames: Sequence[Frame]) -> str:
    last = frames[-1]
    assert isinstance(last, Refused), last
    return last.code


async def run(pods: ContractPods, container: Container, step: StepSpec, offset: int = 0) -> list[Frame]:
    return await (await Follow.begin(pods, container, step, offset)).to_end()


async def test_a_step_runs_and_leaves_an_authentic_record(pods: ContractPods) -> None:
    _, worker = await pods.pod()
    frames = await run(pods, worker, spec("echo out; exit 7"))
    assert isinstance(frames[0], Started)
    assert (frames[0].fresh, frames[0].held_from) == (True, 0)
    record = record_of(frames)
    assert (output_of(frames), record.exit_code, record.signal) == (b"out\n", 7, None)
    assert (record.output_bytes, record.killed, record.timed_out) == (4, False, False)
    assert isinstance(frames[-1], Ended)
    with pytest.raises(InauthenticRecord):
        verify_record(frames[-1].payload, bytes(32), "step-1", 1)
    with pytest.raises(InauthenticRecord):
        verify_record(frames[-1].payload, KEY, "step-1", 2)


async def test_a_signal_is_in_the_record(pods: ContractPods) -> None:
    _, worker = await pods.pod()
    record = record_of(await run(pods, worker, spec("kill -KILL $$")))
    assert (record.exit_code, record.signal) == (None, signal.SIGKILL)


async def test_a_second_call_follows_from_any_offset(pods: ContractPods) -> None:
    _, worker = await pods.pod()
    await run(pods, worker, spec(COUNT))
    for offset in (0, 1, 500, len(LINES) - 1, len(LINES)):
        frames = await run(pods, worker, spec(COUNT), offset)
        assert isinstance(frames[0], Started)
        assert (frames[0].fresh, frames[0].written) == (False, len(LINES))
        assert output_of(frames) == LINES[offset:]
    assert refusal_of(await run(pods, worker, spec(None), len(LINES) + 1)) == "offset-gone"


async def test_an_unknown_step_and_another_key_are_refused(pods: ContractPods) -> None:
    _, worker = await pods.pod()
    assert refusal_of(await run(pods, worker, spec(None))) == "unknown-step"
    assert refusal_of(await (await Follow.begin(pods, worker, spec("true"), kill=True)).to_end()) == "unknown-step"
    await run(pods, worker, spec("true"))
    with_another_key = StepSpec("step-1", 1, bytes(32))
    assert refusal_of(await run(pods, worker, with_another_key)) == "wrong-key"


async def test_another_attempt_is_another_step(pods: ContractPods) -> None:
    _, worker = await pods.pod()
    assert record_of(await run(pods, worker, spec("exit 1"))).exit_code == 1
    second = await run(pods, worker, StepSpec("step-1", 2, KEY, "true"))
    assert isinstance(second[-1], Ended)
    assert verify_record(second[-1].payload, KEY, "step-1", 2).exit_code == 0


async def test_a_truncated_or_changed_request_starts_nothing(pods: ContractPods) -> None:
    _, worker = await pods.pod()
    request = bytearray(encode_request(spec("true"), 0))
    stream = await pods.runtime.exec(worker, (SUPERVISOR, "run"))
    await stream.write(bytes(request[:-1]))
    await stream.close_input()
    assert refusal_of(await Follow(stream, acknowledges=False).to_end()) == "bad-request"
    request[30] ^= 4
    stream = await pods.runtime.exec(worker, (SUPERVISOR, "run"))
    await stream.write(bytes(request))
    assert refusal_of(await Follow(stream, acknowledges=False).to_end()) == "bad-checksum"
    assert refusal_of(await run(pods, worker, spec(None))) == "unknown-step"


async def test_a_dropped_connection_loses_nothing_and_starts_nothing_again(pods: ContractPods) -> None:
    _, worker = await pods.pod()
    first = await Follow.begin(pods, worker, spec("echo first; sleep 0.3; echo last"))
    printed = await first.until(b"first\n")
    await first.close()
    frames = await run(pods, worker, spec("echo first; sleep 0.3; echo last"), len(printed))
    assert isinstance(frames[0], Started)
    assert not frames[0].fresh
    assert (printed + output_of(frames), record_of(frames).exit_code) == (b"first\nlast\n", 0)


async def test_two_followers_see_the_same(pods: ContractPods) -> None:
    _, worker = await pods.pod()
    both = [await Follow.begin(pods, worker, spec("echo first; sleep 0.3; echo last")) for _ in range(2)]
    assert [output_of(await follow.to_end()) for follow in both] == [b"first\nlast\n"] * 2


async def test_a_stopped_step_has_a_record_of_it(pods: ContractPods) -> None:
    _, worker = await pods.pod()
    step = spec("exec sleep 1000")
    follow = await Follow.begin(pods, worker, step)
    await follow.frames()
    stop = await Follow.begin(pods, worker, spec(None), 2**63 - 1, kill=True)
    assert record_of(await stop.to_end()).killed
    record = record_of(await follow.to_end())
    assert (record.killed, record.signal) == (True, signal.SIGTERM)


async def test_a_step_that_ignores_term_is_killed_after_the_grace_period(pods: ContractPods) -> None:
    _, worker = await pods.pod()
    step = spec("trap '' TERM; echo ready; sleep 1000", timeout_ms=200, grace_ms=200)
    frames = await run(pods, worker, step)
    record = record_of(frames)
    assert (output_of(frames), record.timed_out, record.killed) == (b"ready\n", True, False)
    assert record.signal == signal.SIGKILL


async def test_a_step_waits_for_acknowledgements_and_continues(pods: ContractPods) -> None:
    _, worker = await pods.pod()
    lazy = await Follow.begin(pods, worker, spec("head -c 20000000 /dev/zero"), acknowledges=False)
    seen = 0
    while seen < 8 << 20:
        seen += len(output_of(await lazy.frames()))
    assert seen == 8 << 20, "it printed more than the ring can hold"
    await lazy.close()
    frames = await run(pods, worker, spec(None), seen)
    assert len(output_of(frames)) == record_of(frames).output_bytes - seen == 20_000_000 - seen


async def test_the_tail_of_an_ended_step_is_kept(pods: ContractPods) -> None:
    _, worker = await pods.pod()
    await run(pods, worker, spec("head -c 20000000 /dev/zero"))
    frames = await run(pods, worker, spec(None), 20_000_000 - (1 << 20))
    assert len(output_of(frames)) == 1 << 20
    assert refusal_of(await run(pods, worker, spec(None), 0)) == "offset-gone"


async def test_the_last_acknowledgement_is_read_after_the_end(pods: ContractPods) -> None:
    """Otherwise the whole output of every step would stay in the supervisor's memory."""
    _, worker = await pods.pod()
    follow = await Follow.begin(pods, worker, spec("head -c 3000000 /dev/zero"), acknowledges=False)
    frames: list[Frame] = []
    while not any(isinstance(frame, Ended) for frame in frames):
        frames += await follow.frames()
    await follow.acknowledge(3_000_000)
    await follow.close()

    async def is_a_tail() -> bool:
        return isinstance((await run(pods, worker, spec(None), 0))[-1], Refused)

    await wait_until_true(is_a_tail, 10, "the first bytes to be gone")
    assert len(output_of(await run(pods, worker, spec(None), 3_000_000 - (1 << 20)))) == 1 << 20


async def test_unacknowledged_output_of_an_ended_step_is_kept_whole(pods: ContractPods) -> None:
    _, worker = await pods.pod()
    lazy = await Follow.begin(pods, worker, spec("head -c 3000000 /dev/zero"), acknowledges=False)
    await lazy.to_end()
    for _ in range(3):
        frames = await (await Follow.begin(pods, worker, spec(None), acknowledges=False)).to_end()
        assert len(output_of(frames)) == 3_000_000


async def test_silence_is_filled_with_heartbeats(pods: ContractPods) -> None:
    _, worker = await pods.pod()
    follow = await Follow.begin(pods, worker, spec("exec sleep 1000"))
    frames: list[Frame] = []
    while not any(isinstance(frame, Heartbeat) for frame in frames):
        frames += await follow.frames()
    await follow.close()
