"""What a danubefile may catch: the base of all errors."""


class DanubeError(Exception):
    """Something was refused: `reference` is a stable name, `hint` says what mends it."""

    def __init__(self, reference: str, what: str, *, cause: str = "", hint: str = "") -> None:
        super().__init__("".join([what, f": {cause}" if cause else "", f"\n  hint: {hint}" if hint else ""]))
        self.reference = reference
        self.what = what
        self.cause = cause
        self.hint = hint
