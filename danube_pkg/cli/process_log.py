"""The log of a process of the command line, by DANUBE_LOG."""

import os
import sys

from danube_pkg.kit.logs import set_up_logging
from danube_pkg.services.secrets import KnownValues


def start_log(known: KnownValues, *, default: str, stream_name: str) -> None:
    """Set up this process's own log by DANUBE_LOG. A word that is not known is a warning in it: a log level keeps no
    server down."""
    set_up_logging(getattr(sys, stream_name), os.environ.get("DANUBE_LOG") or default, known.redact)
