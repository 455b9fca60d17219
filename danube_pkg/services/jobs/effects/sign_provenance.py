"""SIGN_PROVENANCE: the signed statement about the job, and those of its SBOMs. Its artifacts are released with
them, in one transaction."""

import logging

from danube_pkg.core.errors import Permanent
from danube_pkg.core.jobs.effects import EffectKind
from danube_pkg.core.jobs.events import JobEvent, ProvenanceSigned, SigningFailed
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.provenance.statements import Statements

_log = logging.getLogger("danube.effects")


class SignProvenance:
    """An `EffectHandler`. It stores nothing: the event that it returns is stored with the job's public status."""

    kind = EffectKind.SIGN_PROVENANCE

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def perform(self, active: ActiveJob) -> JobEvent:
        try:
            envelopes = await self._statements.signed(active.job)
        except Permanent as error:
            fields = {"job": active.job.id, "reference": error.reference, "cause": str(error)}
            _log.error("provenance-not-signed", extra={"fields": fields})
            return SigningFailed(str(error))
        lines = b"\n".join(one.encode() for one in envelopes)
        return ProvenanceSigned(lines, envelopes[0].signatures[0].key_id)
