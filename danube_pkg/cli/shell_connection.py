"""The two streams of `danube shell`: a thread prints the output, and the main thread sends what is typed.

A terminal is set to raw mode, so that each key goes to the shell, Control-C too; `Enter ~ .` ends the connection, as in
ssh. Output is printed as it comes, with its control sequences: the user has asked for a terminal.
"""

import contextlib
import os
import select
import shutil
import signal
import sys
import termios
import threading
import time
import tty
from base64 import b64decode
from collections.abc import Iterator

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.output import print_error, say
from danube_pkg.core.errors import NotFound, PlatformError, Throttled

INPUT_BYTES = 32 * 1024
RETRY_SECONDS = 0.2
LOST = 255
"""The exit code where the connection was lost, as of ssh."""

_ENTER, _ESCAPE, _END = b"\r", b"~", b"."


class EscapeSequence:
    """Finds `Enter ~ .` in what is typed."""

    def __init__(self) -> None:
        self._last = _ENTER

    def ends(self, typed: bytes) -> bool:
        """Whether these bytes complete it."""
        recent = self._last + typed
        self._last = recent[-2:]
        return _ENTER + _ESCAPE + _END in recent


class ShellConnection:
    """path: of the shell in the API."""

    def __init__(self, client: ApiClient, path: str, *, has_terminal: bool) -> None:
        self._client = client
        self._path = path
        self._has_terminal = has_terminal
        self._exit_code = LOST
        self._why = "the connection was lost"
        self._error: PlatformError | None = None
        self._ended, self._wake = os.pipe()

    def run(self) -> int:
        """Until the shell ends. Returns its exit code, LOST where it has none."""
        printing = threading.Thread(target=self._print_output, name="output of the shell", daemon=True)
        with self._raw_terminal():
            printing.start()
            try:
                self._send_input()
            except NotFound:
                printing.join()  # it has ended, and its output says how
            except PlatformError as error:
                self._error = error
        if self._error is not None:
            print_error(self._error)
        elif self._exit_code == LOST or self._has_terminal:
            say(f"the shell has ended: {self._why}", file=sys.stderr)
        return self._exit_code

    # --- output

    def _print_output(self) -> None:
        try:
            with self._client.events(f"{self._path}/output") as events:
                for one in events:
                    if one.name == "output":
                        sys.stdout.buffer.write(b64decode(one.data["base64"]))
                        sys.stdout.buffer.flush()
                    elif one.name == "end":
                        self._why = one.data["why"]
                        self._exit_code = LOST if one.data["exit_code"] is None else one.data["exit_code"]
                        return
        except PlatformError as error:
            self._error = error
        except OSError as error:  # a pipe that is read no more
            self._why = str(error)
        finally:
            os.write(self._wake, b"e")

    # --- input

    def _send_input(self) -> None:
        escape, source = EscapeSequence(), sys.stdin.fileno()
        waits_for = [self._ended, source]
        with self._client.kept_open() as post:

            def send(data: bytes, query: str = "") -> None:
                while True:
                    try:
                        post(f"{self._path}/input{query}", data)
                        return
                    except Throttled:
                        time.sleep(RETRY_SECONDS)

            with self._resizes() as resized:
                while True:
                    ready, _, _ = select.select([*waits_for, resized], [], [])
                    if self._ended in ready:
                        return
                    if resized in ready:
                        os.read(resized, 64)
                        size = shutil.get_terminal_size()
                        send(b"", f"?rows={size.lines}&columns={size.columns}")
                    if source in ready:
                        typed = os.read(source, INPUT_BYTES)
                        if self._has_terminal and escape.ends(typed):
                            self._why = "you left it"
                            return
                        send(typed, "" if typed else "?end=true")
                        if not typed:
                            waits_for = [self._ended]

    @contextlib.contextmanager
    def _raw_terminal(self) -> Iterator[None]:
        if not self._has_terminal:
            yield
            return
        before = termios.tcgetattr(sys.stdin)
        try:
            tty.setraw(sys.stdin)
            yield
        finally:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)

    @contextlib.contextmanager
    def _resizes(self) -> Iterator[int]:
        """A descriptor that is readable after the terminal's window got another size."""
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        before = signal.getsignal(signal.SIGWINCH)
        if self._has_terminal:
            signal.signal(signal.SIGWINCH, lambda number, frame: os.write(writing, b"s"))
        try:
            yield reading
        finally:
            signal.signal(signal.SIGWINCH, before)
            os.close(reading)
            os.close(writing)
