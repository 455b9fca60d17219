"""The process that runs the danubefile. It alone may call the server.

A child made by `fork` shares the sequence numbers of its parent, so that its calls would be taken for the parent's, and
a child that returns from the pipeline function would end the job while its parent still works.
"""

import os

from danube._errors import DanubeError

_own: int | None = None


def claim() -> None:
    """This process runs the danubefile."""
    global _own
    _own = os.getpid()


def is_child() -> bool:
    """Whether this is a fork of the process that runs the danubefile."""
    return _own is not None and os.getpid() != _own


def refuse_in_child() -> None:
    """Raises DanubeError in a fork of the process that runs the danubefile."""
    if is_child():
        raise DanubeError(
            "not-the-danubefiles-process",
            "a child of the danubefile's process cannot use the job",
            cause="steps, secrets and artifacts belong to the process that runs the pipeline function",
            hint="hand the child's result to its parent and use it there; step.start() runs steps side by side",
        )
