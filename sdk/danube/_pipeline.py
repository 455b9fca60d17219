"""`@pipeline`: marks the one function of a danubefile that is the pipeline."""

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[[], Any])
MARK = "__danube_pipeline__"


def pipeline(*, name: str) -> Callable[[F], F]:
    """Mark the function that the job calls.

    name: for people; the pipeline's own name comes from the configuration repository.
    """

    def mark(function: F) -> F:
        setattr(function, MARK, name)
        return function

    return mark
