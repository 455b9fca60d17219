"""Limits of the process (RLIMIT_…)."""

import resource


def raise_open_files() -> int:
    """Raise the soft limit of open files to the hard one, and return it. The default soft limit is meant for programs
    that use select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
