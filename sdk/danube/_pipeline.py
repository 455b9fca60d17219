"""`@pipeline`: marks the function of a danubefile that a job calls."""

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[[], Any])
MARK = "__danube_pipeline__"


def pipeline(*, name: str) -> Callable[[F], F]:
    """Mark the function that the job calls; a danubefile has exactly one.

    name: a title for readers of the danubefile. The pipeline's name comes from the configuration repository.
    """

    def mark(function: F) -> F:
        setattr(function, MARK, name)
        return function

    return mark
