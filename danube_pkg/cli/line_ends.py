"""The line end that a shell adds to a value."""


def without_line_end(value: bytes) -> bytes:
    """A value of one line without the line end that `echo` adds. A value of several lines (a private key) keeps its
    last line end, which some programs require."""
    line = value.removesuffix(b"\n").removesuffix(b"\r")
    return value if b"\n" in line else line
