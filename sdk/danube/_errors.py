"""The base of all errors that a danubefile may catch."""

import copyreg
from typing import Any


class DanubeError(Exception):
    """An operation was refused. `reference` is a stable name of the error, `hint` says how to fix it."""

    def __init__(self, reference: str, what: str, *, cause: str = "", hint: str = "") -> None:
        super().__init__("".join([what, f": {cause}" if cause else "", f"\n  hint: {hint}" if hint else ""]))
        self.reference = reference
        self.what = what
        self.cause = cause
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle, by which a process pool brings an error from a child: without the arguments of `__init__`."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]
