"""Attaches the provenance of pushed images to them, in the server's own registry, once their job has ended.

An image can be pulled before its job ends, so its statement follows. What is to be done is in the store, and nothing is
remembered beside it: a server that was killed finds it again. Images of jobs that are not green get nothing, and are
recorded as unattested.
"""

import asyncio
import json
from collections.abc import Callable, Sequence

from danube_pkg.core.errors import Permanent, Retryable
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.images.pushed import AttestationStatus, DueImage, PushedImageStore
from danube_pkg.core.provenance.envelope import Envelope, read_envelopes
from danube_pkg.core.provenance.image_attestations import AttachedStatement, ImageAttestations
from danube_pkg.core.provenance.ports import ProvenanceStore
from danube_pkg.core.reasons import Status
from danube_pkg.kit.logs import EventLog
from danube_pkg.kit.loops import Pauses, Streak, Timing, for_ever
from danube_pkg.kit.records import encode_json

BATCH = 100
"""Images in one round."""

AGAIN_SECONDS = 5.0
"""Between two reads of images whose jobs still run."""

RETRIES = Pauses(first=1.0, cap=60.0)

_log = EventLog("danube.attestations")


class ImageProvenance:
    """added: is set when an image was recorded. is_silent: whether nothing may be written to the registry at present;
    when that changes, `added` is set."""

    def __init__(
        self,
        images: PushedImageStore,
        provenance: ProvenanceStore,
        registry: ImageAttestations,
        timing: Timing,
        added: asyncio.Event,
        is_silent: Callable[[], bool] = lambda: False,
    ) -> None:
        self._images = images
        self._provenance = provenance
        self._registry = registry
        self._timing = timing
        self._added = added
        self._is_silent = is_silent
        self._problem: Retryable | None = None

    async def run(self) -> None:
        """Until cancelled."""
        streak = Streak("image-provenance", self._timing, RETRIES, log=_log.logger)
        await for_ever(self.attach_due, streak, self._timing, expected=(Permanent, Retryable), wake=self._added)

    async def conditions(self) -> Sequence[Condition]:
        """A registry that does not take statements now."""
        if self._problem is None:
            return ()
        what = f"provenance cannot be attached to images: {self._problem}"
        return (Condition("images-without-provenance", what, self._problem.hint),)

    async def attach_due(self) -> float | None:
        """Attach what is due; the answer is the seconds until more may be, None for "until woken". Raises
        Unavailable."""
        if self._is_silent():
            return None
        due = await self._images.list_due(BATCH)
        ended = [one for one in due if one.status.ended]
        try:
            for one in ended:
                await self._images.set_attestation(one.job_id, one.name, *await self._attested(one))
        except Retryable as error:
            self._problem = error
            raise
        self._problem = None
        if len(due) == BATCH and ended:
            return 0.0
        return AGAIN_SECONDS if len(due) > len(ended) else None

    async def _attested(self, image: DueImage) -> tuple[AttestationStatus, str]:
        """What becomes of an image whose job has ended, and why. Raises Unavailable."""
        if image.status is not Status.SUCCESS:
            return AttestationStatus.UNATTESTED, f"its job ended as {image.status}"
        signed = await self._provenance.load_provenance(image.job_id)
        if signed is None or not signed.envelope:
            return AttestationStatus.UNATTESTED, "its job has no provenance"
        statements = _statements(read_envelopes(signed.envelope), image.digest)
        try:
            await self._registry.attach(image.repository, image.digest, statements)
        except Permanent as error:
            _log.warning("image-not-attested", image=image.name, digest=image.digest, cause=str(error))
            return AttestationStatus.UNATTESTED, str(error)
        _log.info("image-attested", image=image.name, digest=image.digest)
        return AttestationStatus.ATTESTED, ""


def _statements(envelopes: Sequence[Envelope], digest: str) -> Sequence[AttachedStatement]:
    """Those of the server's own envelopes that are about the image."""
    found = []
    for envelope in envelopes:
        statement = json.loads(envelope.payload)
        if any(f"sha256:{one['digest']['sha256']}" == digest for one in statement["subject"]):
            found.append(AttachedStatement(encode_json(envelope.bundle()), statement["predicateType"]))
    return found
