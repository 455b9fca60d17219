"""Artifacts: receives what a job keeps and records it once, with its hash; finds and reads it."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from hashlib import sha256
from unicodedata import is_normalized

from danube_pkg.core.artifacts.artifact import MAX_ARTIFACT_BYTES, MAX_NAME_LENGTH, Artifact, ArtifactBounds
from danube_pkg.core.artifacts.ports import ArtifactStore
from danube_pkg.core.blobs.ports import JobBlobs, ReceivedBlob
from danube_pkg.core.errors import Conflict, Invalid, NotFound, Permanent, TooLarge
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.provenance.sbom import MAX_JOB_SBOM_BYTES, MAX_SBOM_BYTES, Sbom, read_sbom
from danube_pkg.kit.clock import Clock

_NAME = re.compile(rf"\w(?:[\w .,@+()-]{{0,{MAX_NAME_LENGTH - 2}}}[\w@+)-])?")
"""Letters and digits of any language, blanks and some signs: what every file system and every shell in quotes takes."""

MAX_NAME_BYTES = 220
"""A file's name has at most 255, with an ending."""

_ENDING = re.compile(r"\.[A-Za-z0-9]{1,16}")


class Artifacts:
    """The artifacts of all jobs: records in the store, bytes in `blobs`. bounds: of each job, as they are configured
    now."""

    def __init__(
        self,
        store: ArtifactStore,
        blobs: JobBlobs,
        clock: Clock,
        new_id: Callable[[], str],
        bounds: Callable[[], ArtifactBounds] = ArtifactBounds,
    ) -> None:
        self._bounds = bounds
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._new_id = new_id
        self._naming = asyncio.Lock()
        """Held while a blob gets its name and its record, so that both are always of the same upload."""

    async def receive(
        self,
        job: Job,
        name: str,
        file_name: str,
        chunks: AsyncIterator[bytes],
        check_wanted: Callable[[], None],
    ) -> Artifact:
        """Keeps a stream under a name. Repeating an upload with the same content returns the same artifact.

        check_wanted: raises if the job does not accept artifacts any more; called when the stream has been received.
        Raises Conflict for other content under that name or file name, which changes nothing; Invalid, TooLarge,
        StorageFull.
        """
        _check_name(name, file_name)
        bounds = self._bounds()
        _check_bounds(await self._store.list_artifacts(job.id), name, 0, bounds)
        limit_bytes = min(MAX_ARTIFACT_BYTES, bounds.total_bytes)
        async with self._blobs.receive(job.id, file_name, chunks, limit_bytes) as received, self._naming:
            check_wanted()
            known = await self._store.list_artifacts(job.id)
            await self._keep(job, known, name, file_name, received, "")
        return await self.find(job.id, name)

    async def receive_sbom(
        self,
        job: Job,
        name: str,
        describes: str,
        chunks: AsyncIterator[bytes],
        check_wanted: Callable[[], None],
        *,
        is_image: bool = False,
    ) -> Artifact:
        """Keeps the SBOM of an artifact, or of a pushed image, as `receive` does. describes: the subject's name.
        is_image: a pushed image of the job has it.

        Raises Invalid also for a document that is neither CycloneDX nor SPDX, and for a subject that the job does not
        have; TooLarge for one that is too large to be signed.
        """
        _check_name(name, name)
        parts: list[bytes] = []
        kept = _collected(chunks, parts)
        async with self._blobs.receive(job.id, name, kept, MAX_SBOM_BYTES) as received, self._naming:
            check_wanted()
            known = await self._store.list_artifacts(job.id)
            if not is_image and all(one.name != describes or one.describes for one in known):
                raise Invalid(
                    "sbom-without-subject",
                    f"the job has neither an artifact nor a pushed image {describes!r} that an SBOM could describe",
                    cause="an SBOM is signed as a statement about something that the job itself has made",
                    hint='artifacts.upload("dist/app", name="app", sbom="bom.json")',
                )
            others = sum(one.size_bytes for one in known if one.describes and one.name != name)
            if others + received.size_bytes > MAX_JOB_SBOM_BYTES:
                raise TooLarge(
                    "sboms-too-large",
                    f"the SBOMs of the job have more than {MAX_JOB_SBOM_BYTES} bytes together",
                    hint="leave the files of each component out of them, or upload an SBOM as an ordinary artifact",
                )
            await asyncio.to_thread(read_sbom, b"".join(parts))
            await self._keep(job, known, name, name, received, describes)
        return await self.find(job.id, name)

    async def _keep(
        self,
        job: Job,
        known: Sequence[Artifact],
        name: str,
        file_name: str,
        received: ReceivedBlob,
        describes: str,
    ) -> None:
        """Give a received file its name and its record; under the lock of names. known: the job's artifacts."""
        _check_file_is_free(known, name, file_name)
        _check_bounds(known, name, received.size_bytes, self._bounds())
        if all(one.name != name for one in known):
            await received.keep()
        size, digest = received.size_bytes, received.sha256
        artifact = Artifact(self._new_id(), job.id, name, file_name, size, digest, self._clock.now(), describes)
        await self._store.add_artifact(artifact)

    async def list(self, job_id: str) -> Sequence[Artifact]:
        return await self._store.list_artifacts(job_id)

    async def jobs_with(self, name: str, job_ids: Sequence[str]) -> frozenset[str]:
        """Those of the jobs that have an artifact of that name."""
        return await self._store.jobs_with(name, job_ids)

    async def find(self, job_id: str, name: str) -> Artifact:
        found = await self._store.load_artifact(job_id, name)
        if found is None:
            raise NotFound(
                "artifact-unknown", f"job {job_id} has no artifact {name!r}", hint=f"danube artifacts list {job_id}"
            )
        return found

    def has_bytes(self, artifact: Artifact) -> bool:
        """Whether the artifact's file still exists; an operator may have removed it."""
        return self._blobs.has(artifact.job_id, artifact.file_name)

    async def read_sbom(self, artifact: Artifact) -> Sbom:
        """The document of an SBOM. Raises Permanent where its file is gone or is another."""
        try:
            data = b"".join([part async for part in self.read(artifact, 0, MAX_SBOM_BYTES)])
        except OSError as error:
            raise _changed(artifact, error.strerror or str(error)) from error
        if sha256(data).hexdigest() != artifact.sha256:
            raise _changed(artifact, "its hash is not the recorded one")
        return await asyncio.to_thread(read_sbom, data)

    def read(self, artifact: Artifact, begin: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from offset `begin` up to `end`, in pieces."""
        return self._blobs.read(artifact.job_id, artifact.file_name, begin, end)


def _changed(artifact: Artifact, cause: str) -> Permanent:
    return Permanent(
        "sbom-changed",
        f"the SBOM {artifact.file_name} of the job cannot be signed",
        cause=cause,
        hint=f"was its file changed on the server? Run the job again: danube rerun {artifact.job_id}",
    )


async def _collected(chunks: AsyncIterator[bytes], parts: list[bytes]) -> AsyncIterator[bytes]:
    """The chunks, which are added to `parts` as well."""
    async for chunk in chunks:
        parts.append(chunk)
        yield chunk


def _check_name(name: str, file_name: str) -> None:
    is_name = _NAME.fullmatch(name) and len(name.encode()) <= MAX_NAME_BYTES and is_normalized("NFC", name)
    ending = file_name.removeprefix(name)
    if not is_name or not (ending in ("", ".tar.gz") or (file_name != ending and _ENDING.fullmatch(ending))):
        raise Invalid(
            "artifact-name-invalid",
            f"{name!r} cannot name an artifact",
            cause=f"a name is 1 to {MAX_NAME_LENGTH} letters, digits, blanks and _.,@+()- with a letter or digit first, and at"
            f" most {MAX_NAME_BYTES} bytes",
            hint='artifacts.upload("dist/", name="packages")',
        )


def _check_bounds(known: Sequence[Artifact], name: str, size_bytes: int, bounds: ArtifactBounds) -> None:
    """Raises TooLarge where a further artifact of that size is one too many. A repeated upload is none."""
    if any(one.name == name for one in known):
        return
    if len(known) >= bounds.count:
        raise TooLarge(
            "too-many-artifacts",
            f"artifact {name!r} cannot be kept: the job has {bounds.count} artifacts, the most that are allowed",
            hint="upload a directory as one artifact, or raise max_artifacts_per_job in config.yaml",
        )
    if sum(one.size_bytes for one in known) + size_bytes > bounds.total_bytes:
        raise TooLarge(
            "artifacts-too-large",
            f"artifact {name!r} cannot be kept: the job's artifacts have more than {bounds.total_bytes} bytes together",
            hint="upload less, or raise max_artifacts_gb_per_job in config.yaml",
        )


def _check_file_is_free(known: Sequence[Artifact], name: str, file_name: str) -> None:
    """A directory `x` and a file `x.tar.gz` would have the same file name."""
    other = next((one for one in known if one.file_name == file_name and one.name != name), None)
    if other is not None:
        raise Conflict(
            "artifact-file-taken",
            f"artifact {name!r} cannot be kept as {file_name}: artifact {other.name!r} of this job has that file name",
            hint="give one of them another name: artifacts.upload(PATH, name=NAME)",
        )
