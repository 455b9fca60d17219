"""What a server knows of steps only while it lives: requests, outputs, and ends that are not stored yet.

None of it is stored. After a restart the coordinator repeats its requests, and outputs are read from the supervisor
again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from danube_pkg.core.errors import Conflict, TooLarge
from danube_pkg.core.jobs.coordination import StepRequest
from danube_pkg.core.jobs.events import StepEnded
from danube_pkg.core.jobs.steps import Step
from danube_pkg.kit.records import HIDDEN, Mutable

MAX_KEPT_REQUEST_BYTES = 4 * 1024**2
"""For the requests of all open steps of a job: 64 parallel steps with a secret of 64 KiB each. Python may take four
times as much for them, which stays below what one job may cost the server."""

MAX_KEPT_OUTPUT_BYTES = 8 * 1024**2
"""For all results of a job together: those of a handful of parallel steps, until their calls are answered."""


class _Memory(Mutable):
    """request: until the step has ended. output: of the attempt with that number. end: until it is stored."""

    request: Annotated[StepRequest | None, HIDDEN] = None
    request_bytes: int = 0
    output: Annotated[bytes | None, HIDDEN] = None
    output_attempt: int = 0
    end: StepEnded | None = None


class StepMemory:
    """One job's, by the sequences of its steps. The newest outputs are kept, up to MAX_KEPT_OUTPUT_BYTES."""

    def __init__(self) -> None:
        self._steps: dict[int, _Memory] = {}
        self._outputs: dict[int, int] = {}  # the sizes of the outputs that are kept, oldest first

    def _of(self, sequence: int) -> _Memory:
        return self._steps.setdefault(sequence, _Memory())

    @property
    def kept_output_bytes(self) -> int:
        return sum(self._outputs.values())

    def request_of(self, sequence: int) -> StepRequest | None:
        """The coordinator's request; None for a step that ended, and after a restart until the call is repeated."""
        memory = self._steps.get(sequence)
        return memory.request if memory is not None else None

    @contextmanager
    def keeping(self, request: StepRequest) -> Iterator[None]:
        """Keeps a coordinator's request; an error in the block forgets it, unless it was known before.

        Raises Conflict where the same call had another content, and TooLarge at MAX_KEPT_REQUEST_BYTES.
        """
        known = self.request_of(request.sequence)
        if known is not None and known != request:
            raise Conflict(
                "step-differs",
                f"call {request.sequence} is repeated with another content",
                cause="command, environment and options of a step cannot change while it runs",
                hint="use the coordinator of the same release",
            )
        kept = sum(memory.request_bytes for memory in self._steps.values())
        if known is None and kept + request.size_bytes > MAX_KEPT_REQUEST_BYTES:
            raise TooLarge(
                "steps-too-large",
                f"the open steps of the job have more than {MAX_KEPT_REQUEST_BYTES} bytes of commands and variables",
                hint="run fewer large steps at once, or pass large values in a file of the workspace",
            )
        self.keep_request(request.sequence, request)
        try:
            yield
        except BaseException:
            if known is None:
                self._steps.pop(request.sequence, None)
            raise

    def keep_request(self, sequence: int, request: StepRequest) -> None:
        memory = self._of(sequence)
        memory.request, memory.request_bytes = request, request.size_bytes

    def drop_request(self, sequence: int) -> None:
        memory = self._of(sequence)
        memory.request, memory.request_bytes = None, 0

    def end_of(self, sequence: int, attempt: int) -> StepEnded | None:
        """The end of an attempt by its authentic record, while it is not stored."""
        end = self._of(sequence).end
        return end if end is not None and end.attempt == attempt else None

    def keep_end(self, end: StepEnded) -> None:
        self._of(end.sequence).end = end

    def drop_end(self, sequence: int) -> None:
        self._of(sequence).end = None

    def keep_output(self, sequence: int, attempt: int, output: bytes | None) -> None:
        """The end of an attempt's output; None where this server did not see all of it."""
        memory = self._of(sequence)
        memory.output, memory.output_attempt = output, attempt
        self._outputs.pop(sequence, None)
        self._outputs[sequence] = len(output or b"")
        while self.kept_output_bytes > MAX_KEPT_OUTPUT_BYTES:
            oldest = next(iter(self._outputs))
            del self._outputs[oldest]
            self._of(oldest).output = None

    def output_of(self, step: Step) -> bytes | None:
        """The end of the output of an ended step's last attempt, if it is kept and a record proves that it is whole.
        Of a restored step: what its snapshot has of it."""
        memory = self._of(step.sequence)
        whole = (
            step.end is not None
            and (step.end.output_hash or step.restored_from)
            and memory.output_attempt == step.attempt
        )
        return memory.output if whole else None
