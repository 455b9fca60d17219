"""What the system lets one process have."""

import resource


def raise_open_files() -> int:
    """As many open files as the hard limit allows; the soft one is meant for programs that use select(2). Gives the number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
