"""Liveness and readiness."""

from typing import Annotated

from danube_pkg.core.documents.marked import about
from danube_pkg.kit.records import Record


class HealthView(Record):
    """Whether the server is alive and ready."""

    status: Annotated[str, about("ok, ready, not-ready or draining.")]
    conditions: Annotated[
        tuple[str, ...],
        about("References of what does not work: dex-not-running, disk-full. See `danube config status`."),
    ] = ()
