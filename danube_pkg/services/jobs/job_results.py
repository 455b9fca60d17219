"""What a job leaves behind: artifacts, reports of tests, notes; and the artifacts of other jobs that it reads."""

from collections.abc import AsyncIterator

from danube_pkg.core.artifact_downloads import DownloadRequest
from danube_pkg.core.artifacts.artifact import Artifact
from danube_pkg.core.jobs import events as ev
from danube_pkg.core.jobs.endings import refuse_when_ending, refuse_when_over
from danube_pkg.core.jobs.report_notes import ReportNote, check_room
from danube_pkg.core.jobs.reports import JobReport
from danube_pkg.services.artifact_downloads import ArtifactDownloads, Download
from danube_pkg.services.artifacts import Artifacts
from danube_pkg.services.images.builds import ImageBuilds
from danube_pkg.services.jobs.active_job import ActiveJob
from danube_pkg.services.jobs.job_caches import JobCaches
from danube_pkg.services.jobs.job_text import JobText
from danube_pkg.services.jobs.log_lines import write_artifact, write_download, write_note, write_report
from danube_pkg.services.jobs.ports import EnginePorts
from danube_pkg.services.jobs.resources import JobResources


class JobResults:
    """For all jobs. The calls of a job are authenticated before."""

    def __init__(
        self,
        ports: EnginePorts,
        resources: JobResources,
        caches: JobCaches,
        artifacts: Artifacts,
        builds: ImageBuilds,
        downloads: ArtifactDownloads,
    ) -> None:
        self._ports = ports
        self._resources = resources
        self._caches = caches
        self._artifacts = artifacts
        self._builds = builds
        self._downloads = downloads

    async def receive_artifact(
        self, active: ActiveJob, name: str, file_name: str, chunks: AsyncIterator[bytes], describes: str
    ) -> Artifact:
        """As `Coordination.receive_artifact`."""

        def check_wanted() -> None:
            refuse_when_over(active.job, "artifacts cannot be stored")

        check_wanted()
        JobText(await self._resources.log(active)).refuse_secret("the name of an artifact", f"{name} {file_name}")
        if image := await self._builds.pushed_name(active.job, describes):
            received = self._artifacts.receive_sbom(active.job, name, image, chunks, check_wanted, is_image=True)
        elif describes:
            received = self._artifacts.receive_sbom(active.job, name, describes, chunks, check_wanted)
        else:
            received = self._artifacts.receive(active.job, name, file_name, chunks, check_wanted)
        artifact = await received
        write_artifact(await self._resources.log(active), artifact)
        return artifact

    async def download_artifact(self, active: ActiveJob, request: DownloadRequest) -> Download:
        """As `Coordination.download_artifact`."""
        refuse_when_ending(active.job, "artifacts cannot be downloaded")
        log = await self._resources.log(active)
        texts = f"{request.name} {request.job} {request.pipeline} {request.branch}"
        JobText(log).refuse_secret("the name of an artifact, a job, a pipeline or a branch", texts)
        download = await self._downloads.open(active.job, request)
        await self._caches.withhold(active.job)  # what it got may depend on a secret
        write_download(log, download.use)
        return download

    async def report_tests(self, active: ActiveJob, report: JobReport) -> None:
        """As `Coordination.report_tests`."""
        refuse_when_over(active.job, "reports of tests cannot be kept")
        log = await self._resources.log(active)
        report = JobText(log).masked_report(report)
        await active.apply(ev.ReportAdded(report.counts))  # refused beyond the bound; else a repeated call continues
        await self._ports.reports.add_report(active.job.id, report)
        write_report(log, report)

    async def add_note(self, active: ActiveJob, note: ReportNote) -> None:
        """As `Coordination.add_note`."""
        refuse_when_over(active.job, "nothing can be reported")
        log = await self._resources.log(active)
        note = JobText(log).masked_note(note)
        known = [one for one in await self._ports.notes.list_notes(active.job.id) if one.sequence != note.sequence]
        check_room(known, note)
        await self._ports.notes.add_note(active.job.id, note)
        write_note(log, note)
