"""The process that runs the danubefile. It alone may call the server.

A child made by `fork` shares the sequence numbers of its parent, so that its calls would be taken for the parent's, and
a child that returns from the pipeline function would end the job while its parent still works.
"""

import os
import sys

from danube._errors import DanubeError

_own: int | None = None


def claim() -> None:
    """This process runs the danubefile."""
    global _own
    _own = os.getpid()


def is_child() -> bool:
    """Whether this is a child of the process that runs the danubefile: a fork of it, or spawned by multiprocessing."""
    return os.getpid() != _own if _own is not None else is_spawned()


def is_spawned() -> bool:
    """Whether multiprocessing has started this process with an interpreter of its own, which has nothing of the job."""
    module = sys.modules.get("multiprocessing.process")
    return _own is None and module is not None and module.parent_process() is not None


def refuse_in_child() -> None:
    """Raises DanubeError in a child of the process that runs the danubefile."""
    if is_child():
        raise DanubeError(
            "not-the-danubefiles-process",
            "a child of the danubefile's process cannot use the job",
            cause="steps, secrets and artifacts belong to the process that runs the pipeline function",
            hint="hand the child's result to its parent and use it there; step.start() runs steps side by side",
        )
