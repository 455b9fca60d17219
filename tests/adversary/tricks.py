"""The form of a trick: a function that draws what a hostile danubefile does, registered by its name.

    @trick
    def zombies(random: Random) -> str:
        '''Children whose end is never read.'''
        return in_step("for i in $(seq 50); do true & done; exec sleep 1")

What it returns are statements of Python in a function of the danubefile; `HEAD` of `jobs.py` is what they may use.
"""

from collections.abc import Callable
from random import Random

Trick = Callable[[Random], str]

TRICKS: dict[str, Trick] = {}
"""Every trick by its name, filled by the modules that `jobs.py` imports."""

STEP_SECONDS = 8
"""What a step of a trick may take; many of them never end by themselves."""


def trick(made: Trick) -> Trick:
    """Register a trick."""
    if made.__name__ in TRICKS:
        raise ValueError(f"two tricks have the name {made.__name__}")
    TRICKS[made.__name__] = made
    return made


def in_step(command: str, *, shell: str = "/bin/sh", seconds: int = STEP_SECONDS) -> str:
    """A step with that command, whatever becomes of it."""
    return f"step.run({command!r}, shell={shell!r}, check=False, timeout_seconds={seconds})"


def in_python(program: str, seconds: int = STEP_SECONDS) -> str:
    """A step with that program."""
    return in_step(program, shell="python3", seconds=seconds)
