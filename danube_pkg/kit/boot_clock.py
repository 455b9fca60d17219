"""The time since the machine was booted, which cannot be set: CLOCK_BOOTTIME of clock_gettime(2), with the id of the
boot. It continues over restarts of a process and while the machine is suspended."""

import time
from pathlib import Path

from danube_pkg.kit.clock_samples import ClockSample

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def read_clocks() -> ClockSample:
    """Both clocks now."""
    try:
        boot_id = _BOOT_ID.read_text().strip()
    except OSError:
        boot_id = ""
    return ClockSample(time.time(), boot_id, time.clock_gettime(time.CLOCK_BOOTTIME))
