"""What is wrong with a Python program that cannot be compiled, in words for its author."""

NOT_PYTHON = (SyntaxError, ValueError, RecursionError, MemoryError, SystemError)
"""What `compile` and `ast.parse` raise: for a mistake, for bytes that are no text, for expressions that are nested too deep."""


def what_is_wrong(program: bytes, error: BaseException) -> tuple[int, str]:
    """(line, or 0 where none is known; what is wrong there), for one of NOT_PYTHON."""
    if b"\0" in program:
        return 0, "it has NUL bytes, as UTF-16 text does: save it as UTF-8"
    return getattr(error, "lineno", None) or 0, getattr(error, "msg", None) or str(error) or "it is nested too deep"
