"""Messages for the author of a Python program that cannot be compiled."""

NOT_PYTHON = (SyntaxError, ValueError, RecursionError, MemoryError, SystemError)
"""What `compile` and `ast.parse` raise: for syntax errors, for bytes that are not text, for too deeply nested
expressions."""


def what_is_wrong(program: bytes, error: BaseException) -> tuple[int, str]:
    """(line, or 0 where it is not known; what is wrong there). error: one of NOT_PYTHON."""
    if b"\0" in program:
        return 0, "it has NUL bytes, as UTF-16 text does: save it as UTF-8"
    return getattr(error, "lineno", None) or 0, getattr(error, "msg", None) or str(error) or "it is nested too deep"
