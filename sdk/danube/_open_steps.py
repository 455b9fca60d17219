"""The steps of this process that have begun: how many may run at once, and which have no result yet."""

import threading

MAX_PARALLEL = 64
"""At most this many steps of a job run at once; further ones wait."""

running = threading.BoundedSemaphore(MAX_PARALLEL)

without_end: dict[int, str] = {}
"""Names, by sequence, of the steps that were started and have no result yet."""


failed: list[str] = []
"""Names of checked steps that have failed, also where the danubefile handled it: the job fails for them."""


def steps_without_end() -> list[tuple[int, str]]:
    """Sequence and name of each step that was started and has no result; the server may not even know it yet."""
    return sorted(without_end.items())
