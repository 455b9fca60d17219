"""A sample of the machine's clocks; `kit.boot_clock` makes it."""

from danube_pkg.kit.records import Record


class ClockSample(Record):
    """Both clocks at one time. at: Unix seconds. boot_id: "" where it cannot be read. boot_seconds: since the boot."""

    at: float
    boot_id: str
    boot_seconds: float
