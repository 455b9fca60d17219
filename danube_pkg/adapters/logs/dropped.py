"""What a step prints beyond the log's limit: its end is kept, since it says why a step has failed."""

from danube_pkg.kit.records import Record

END_BYTES = 16 * 1024
"""Some hundred lines, with the message of a compiler or the end of a traceback."""

ALL_ENDS_BYTES = 1024**2
"""By how much the ends of all steps may exceed the log's limit."""


class DroppedOutput(Record):
    """The masked output of one step that was not written: how many bytes, and the last of them."""

    count: int = 0
    last: bytes = b""

    def plus(self, text: bytes) -> "DroppedOutput":
        return DroppedOutput(self.count + len(text), (self.last + text)[-END_BYTES:])

    @property
    def end(self) -> bytes:
        """The last lines: whole ones, unless there is one only. Empty where nothing was dropped."""
        begin = self.last.find(b"\n") + 1 if len(self.last) < self.count else 0
        lines = self.last[begin:] or self.last
        return lines if not lines or lines.endswith(b"\n") else lines + b"\n"
