"""What the coordinator needs of its own process, though the danubefile can change all of it.

A danubefile may close or replace `sys.stdout`, patch `time`, and fork children that return into the coordinator's code.
None of that may make a good job red, or a child end the job.
"""

import contextlib
import os
import sys
import time
import traceback
from typing import NoReturn

monotonic = time.monotonic
now = time.time
pause = time.sleep
"""As they were before the danubefile could replace them."""


def say(text: str) -> None:
    """A line to standard error, also where the danubefile has closed or broken its `sys.stderr`."""
    try:
        print(text, file=sys.stderr, flush=True)
    except Exception:  # noqa: BLE001 - the stream may be any object of the danubefile
        with contextlib.suppress(OSError):
            os.write(2, f"{text}\n".encode(errors="backslashreplace"))


def flush() -> None:
    """Hand over what was printed; a stream that the danubefile has closed or broken has nothing more to give."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
            stream.flush()


def leave(code: int) -> NoReturn:
    """End this process without waiting for its threads: one may wait for an open step."""
    flush()
    os._exit(code)


def leave_as_child(error: BaseException | None) -> NoReturn:
    """End a forked child that came back from the danubefile, as Python ends a program: 0, its `sys.exit`, or 1."""
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            leave((error.code or 0) & 0xFF)
        say(str(error.code))
        leave(1)
    if error is not None:
        say("".join(traceback.format_exception(error)).rstrip())
    leave(0 if error is None else 1)
