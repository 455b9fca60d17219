"""The one step of `danube run --step NAME`: other steps are left out, and count as successful without having run."""

import threading
from collections.abc import Callable

from danube._session import StepCall

from danube_pkg.pod.own_process import say

NAMED = 20
"""Names in the message for one that no step has."""


class OnlyStep:
    """name: "" for all steps. Approvals are requested when a step runs that comes after them, if one does."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._found = False
        self._others: dict[str, None] = {}
        self._postponed: list[Callable[[], object]] = []
        self._lock = threading.Lock()

    def postpone(self, environment: str, ask: Callable[[], object]) -> None:
        """Keep what asks for an approval, until a step runs."""
        self._postponed.append(ask)
        say(f"approval of {environment!r} is left out unless a step runs after it: --step {self.name}")

    def ask(self) -> None:
        """Ask for what was postponed, before a step runs. Steps that begin beside it wait for the answer too."""
        with self._lock:
            while self._postponed:
                self._postponed.pop(0)()

    def wants(self, call: StepCall) -> bool:
        """Whether the step runs. Services do, since the step may need them; a step of a matrix is named without its
        leg too."""
        if not self.name or call.is_service:
            return True
        if self.name in (call.name, call.name.removeprefix(f"{call.leg}: ")):
            self._found = True
            return True
        if len(self._others) < NAMED:
            self._others[call.name] = None
        return False

    @property
    def has_left_out(self) -> bool:
        """Whether a step did not run."""
        return bool(self._others)

    @property
    def problem(self) -> str:
        """Why the run fails however its danubefile ended; "" for none."""
        if not self.name or self._found:
            return ""
        return f"no step is called {self.name!r}; there are: {', '.join(map(repr, self._others)) or 'none'}"
