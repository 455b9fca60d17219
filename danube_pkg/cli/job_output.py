"""A running job on the terminal: its log, with Danube's own lines coloured, and one line about its end."""

import codecs
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from danube_pkg.cli.output import STATUS_COLOURS, one_line, painted, say, wants_colour
from danube_pkg.kit.terminal import VisibleText, json_text

OWN_LINE = "--- "
"""The beginning of Danube's own lines in a log."""


class LivePrinter:
    """Prints text as it arrives; on a terminal Danube's own lines are coloured. raw: control sequences are kept."""

    def __init__(self, stream: TextIO, *, raw: bool = False) -> None:
        self._stream = stream
        self._visible = None if raw else VisibleText()
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""
        self._at_line_start = True

    def feed(self, data: bytes) -> None:
        self.text(self._decoder.decode(data))

    def text(self, text: str) -> None:
        """Print text. The beginning of a line is held back as long as the line could still be one of Danube's own."""
        self._print(text if self._visible is None else self._visible.text(text))

    def _print(self, text: str) -> None:
        self._held += text
        while self._held:
            line, newline, rest = self._held.partition("\n")
            undecided = self._at_line_start and not newline and (line + OWN_LINE).startswith(OWN_LINE[: len(line)])
            if undecided and len(line) < len(OWN_LINE):
                break
            own = self._at_line_start and line.startswith(OWN_LINE)
            if own and not newline:
                break
            self._stream.write(
                (f"{_reset(self._stream)}{painted(line, '1;36', self._stream)}" if own else line) + newline
            )
            self._held, self._at_line_start = rest, bool(newline)
        self._stream.flush()

    def close(self) -> None:
        if self._visible is not None:
            self._print(self._visible.text("", final=True))
        self._stream.write(self._held)
        self._held = ""
        if not self._at_line_start:
            self._stream.write("\n")
        self._stream.flush()


def _reset(stream: TextIO) -> str:
    """Ends the colours that a step left on."""
    return "\x1b[0m" if wants_colour(stream) else ""


class JsonPrinter:
    """Prints events as JSON lines, for scripts."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def event(self, name: str, data: Any) -> None:
        self._stream.write(json_text({"event": name, **data}) + "\n")
        self._stream.flush()


def print_end(job: Mapping[str, Any]) -> int:
    """Print one line about the job's end, and its hint; returns the exit code."""
    status = job["status"]
    reason = f" ({job['reason']})" if job["reason"] else ""
    message = f": {one_line(job['message'])}" if job["message"] else ""
    line = f"{job['pipeline']} {painted(status, STATUS_COLOURS.get(status, ''), sys.stderr)}{reason}{message}"
    say(line, file=sys.stderr)
    if job["hint"]:
        say(f"  hint: {one_line(job['hint'])}", file=sys.stderr)
    return 0 if status == "success" else 1
