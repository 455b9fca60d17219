"""Names of signals."""

import signal


def signal_name(number: int) -> str:
    """`SIGKILL`; "signal 200" for a number without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
