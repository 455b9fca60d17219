"""The one step of `danube run --step NAME`: other steps are left out, and count as successful without having run."""

from danube._session import StepCall

NAMED = 20
"""Names in the message for one that no step has."""


class OnlyStep:
    """name: "" for all steps."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._found = False
        self._others: dict[str, None] = {}

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
    def problem(self) -> str:
        """Why the run fails though its danubefile returned; "" for none."""
        if not self.name or self._found:
            return ""
        return f"no step is called {self.name!r}; there are: {', '.join(map(repr, self._others)) or 'none'}"
