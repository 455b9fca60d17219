"""Opens what collects and sends traces."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from danube_pkg.adapters.traces.otlp import HttpSpanSender
from danube_pkg.bootstrap.store import Store
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.tasks import TaskOwner, logged
from danube_pkg.services.secrets import KnownValues
from danube_pkg.services.traces import Tracer

_log = EventLog("danube.traces")


@asynccontextmanager
async def open_tracer(store: Store, applied: AppliedConfiguration, known: KnownValues) -> AsyncIterator[Tracer]:
    """Sends until the block is left. known: masks secrets and e-mail addresses."""
    sender = HttpSpanSender()
    tracer = Tracer(applied, sender, store.timing, known.redact, os.urandom)
    owner = TaskOwner(logged(_log.logger))
    owner.start("traces", tracer.follow())
    try:
        yield tracer
    finally:
        await owner.close()
        await sender.close()
