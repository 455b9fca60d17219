"""The leg of a matrix that a thread works for: the steps and artifacts of its function are the leg's.

A leg has its thread. Threads that a leg's function starts itself work for no leg.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from danube._errors import DanubeError
from danube._results import StepHandle


class LegCancelled(DanubeError):
    """The leg ends because another one has failed and `fail_fast` is set."""

    def __init__(self, leg: str) -> None:
        super().__init__("leg-cancelled", f"leg {leg!r} was ended because another one has failed")


@dataclass
class RunningLeg:
    """What the SDK knows of a leg while its function runs.

    isolation: the number of its own containers, 0 where it shares those of the job. workspace: as the danubefile sees
    it.
    """

    name: str
    workspace: str
    isolation: int = 0
    cancelled: threading.Event = field(default_factory=threading.Event)
    handles: list[StepHandle] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def refuse_if_cancelled(self) -> None:
        if self.cancelled.is_set():
            raise LegCancelled(self.name)

    def watch(self, handle: StepHandle) -> None:
        """From now on `cancel` stops this step. Raises LegCancelled where it was called meanwhile."""
        with self.lock:
            self.handles.append(handle)
            cancelled = self.cancelled.is_set()
        if cancelled:
            with contextlib.suppress(DanubeError):
                handle.stop()
            raise LegCancelled(self.name)

    def cancel(self) -> None:
        """Stop its steps; the next one is refused."""
        with self.lock:
            self.cancelled.set()
            handles = [handle for handle in self.handles if not handle.done]
        for handle in handles:
            with contextlib.suppress(DanubeError):  # it has failed by itself before it was stopped
                handle.stop()


@dataclass(frozen=True)
class LegResult:
    """How a leg of a matrix ended.

    status: `success`, `failure`, or `cancelled` where another leg failed and `fail_fast` is set.
    values: the leg's value of each axis.
    message: why it did not succeed; "" for a success.
    value: what its function returned.
    """

    name: str
    status: str
    values: Mapping[str, str]
    message: str = ""
    value: object = None

    @property
    def ok(self) -> bool:
        """Whether its function returned and no step with `check=True` of it failed."""
        return self.status == "success"


_thread = threading.local()


@contextlib.contextmanager
def working_for(leg: RunningLeg) -> Iterator[None]:
    """What this thread does in the block is the leg's."""
    before = getattr(_thread, "leg", None)
    _thread.leg = leg
    try:
        yield
    finally:
        _thread.leg = before


def current_leg() -> RunningLeg | None:
    """The leg of this thread; None for none."""
    leg: RunningLeg | None = getattr(_thread, "leg", None)
    return leg
