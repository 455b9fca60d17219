"""Signs what the server states about a job, and finds what was signed."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from danube_pkg import __version__
from danube_pkg.core.artifact_downloads import ArtifactUses
from danube_pkg.core.artifacts.artifact import Artifact
from danube_pkg.core.artifacts.ports import ArtifactStore
from danube_pkg.core.caches.ports import CacheUses
from danube_pkg.core.errors import Conflict, NotFound
from danube_pkg.core.images.pushed import PushedImageStore
from danube_pkg.core.jobs.job import Job, Provenance
from danube_pkg.core.provenance.builders import builder_of
from danube_pkg.core.provenance.envelope import PAYLOAD_TYPE, Envelope, pre_authentication_encoding
from danube_pkg.core.provenance.ports import ProvenanceStore, Signer
from danube_pkg.core.provenance.rebuilds import BuiltOutputs, ComparedOutput, compared, is_match, rebuild_statement
from danube_pkg.core.provenance.sbom import Sbom, sbom_statement
from danube_pkg.core.provenance.statement import JobFacts, statement_of
from danube_pkg.core.reasons import Status
from danube_pkg.core.secrets.ports import SecretReads
from danube_pkg.kit.records import Record


class StatementContext(Record):
    """What is the same for all jobs of a server. configuration: the URL of its configuration repository, "" for none.
    runtime: the runtime's name. is_local: the jobs are those of `danube run`."""

    configuration: str = ""
    runtime: str = ""
    is_local: bool = False


class SbomFiles(Protocol):
    """Reads the documents of SBOMs; `services.artifacts.Artifacts`."""

    async def read_sbom(self, artifact: Artifact) -> Sbom: ...


NO_CONTEXT = StatementContext()


class Statements:
    """Statements about jobs. artifacts, images, reads, caches, downloads: what the server recorded of a job beside its
    state. files: its SBOMs."""

    def __init__(
        self,
        store: ProvenanceStore,
        artifacts: ArtifactStore,
        images: PushedImageStore,
        reads: SecretReads,
        caches: CacheUses,
        downloads: ArtifactUses,
        signer: Signer,
        context: StatementContext,
        files: SbomFiles,
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._images = images
        self._reads = reads
        self._caches = caches
        self._downloads = downloads
        self._signer = signer
        self._context = context
        self._files = files

    async def signed(self, job: Job) -> Sequence[Envelope]:
        """The signed statement about a job whose log is whole, then those of its SBOMs, and that of a rebuild which
        gave the same bytes. Nothing is stored. Raises as `Signer.sign` does, and Permanent for an SBOM that is gone."""
        context = self._context
        facts = JobFacts(
            job=job,
            artifacts=await self._artifacts.list_artifacts(job.id),
            images=await self._images.list_pushed(job.id),
            secrets=await self._reads.uses_of(job.id),
            caches=await self._caches.list_uses(job.id),
            downloads=await self._downloads.list_uses(job.id),
            configuration=context.configuration,
            runtime=context.runtime,
            version=__version__,
            is_local=context.is_local,
        )
        # A job of thousands of steps has a statement of a megabyte.
        found = [await self._envelope(await asyncio.to_thread(statement_of, facts))]
        digests = {one.name: (one.file_name, one.sha256) for one in facts.artifacts if not one.describes}
        digests |= {one.name: (one.name, one.digest.partition(":")[2]) for one in facts.images}
        for artifact in facts.artifacts:
            if artifact.describes:
                sbom = await self._files.read_sbom(artifact)
                name, sha256 = digests[artifact.describes]
                found.append(await self._envelope(await asyncio.to_thread(sbom_statement, name, sha256, sbom)))
        if (rebuilt := await self._rebuild_statement(facts)) is not None:
            found.append(await self._envelope(rebuilt))
        return found

    async def _rebuild_statement(self, facts: JobFacts) -> bytes | None:
        """The second statement about what a green rebuild has built like its original; None where it has not."""
        job, context = facts.job, self._context
        if job.trigger.rebuild is None or job.outcome is not Status.SUCCESS:
            return None
        original = job.trigger.rebuild.job
        outputs, signed = await self.compare(job), await self._store.load_provenance(original)
        if signed is None or not is_match(outputs):
            return None
        builder = builder_of(job, context.runtime, is_local=context.is_local)
        return rebuild_statement(original, job.id, builder, signed.envelope, outputs)

    async def compare(self, job: Job) -> Sequence[ComparedOutput]:
        """What a rebuild and its original have built. Raises Conflict for a job that is not a rebuild."""
        if job.trigger.rebuild is None:
            what, hint = f"{job.label} is not a rebuild", f"danube rebuild {job.id}"
            raise Conflict("not-a-rebuild", what, hint=hint)
        original, rebuilt = [
            BuiltOutputs(await self._artifacts.list_artifacts(one), await self._images.list_pushed(one))
            for one in (job.trigger.rebuild.job, job.id)
        ]
        return compared(original, rebuilt)

    async def _envelope(self, payload: bytes) -> Envelope:
        signature = await self._signer.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
        return Envelope(payload, PAYLOAD_TYPE, (signature,))

    async def check_released(self, job: Job) -> None:
        """Raises Conflict for a job whose artifacts must not leave the server: not signed yet, or never.

        Jobs that ended before the server signed have no provenance, and their artifacts stay as they are.
        """
        if not job.status.ended:
            raise Conflict(
                "artifact-not-released",
                f"artifacts of {job.label} are not released: it has not ended",
                cause="an artifact leaves the server with its signed provenance only",
                hint=f"wait for its end: danube logs -f {job.id}",
            )
        found = await self._store.load_provenance(job.id)
        if found is not None and not found.envelope:
            raise Conflict(
                "artifact-not-signed",
                f"artifacts of {job.label} are not released: they have no provenance",
                cause=found.problem,
                hint=f"run it again: danube rerun {job.id}",
            )

    async def find(self, job: Job) -> Provenance | None:
        """What was stored about a job; None for one that has not ended, or has no provenance."""
        return await self._store.load_provenance(job.id)

    async def of(self, job: Job) -> Provenance:
        """What was signed about a job. Raises Conflict for one that has not ended, NotFound for one without."""
        await self.check_released(job)
        found = await self.find(job)
        if found is None:
            raise NotFound(
                "provenance-missing",
                f"{job.label} has no provenance",
                cause="it ended before it had started, or before this server signed provenance",
                hint=f"run it again: danube rerun {job.id}",
            )
        return found
