"""An artifact of another job, and notes about the job, over the coordinator's real calls."""

import asyncio
from pathlib import Path

import pytest
from danube._errors import DanubeError
from danube._session import AnnotationCall, CoverageCall, DownloadCall, NoteCall

from danube_pkg.adapters.store import SqliteReports
from danube_pkg.core.jobs.trigger import Trigger
from danube_pkg.edges.grpc.server import CoordinatorServer
from danube_pkg.pod.client import CoordinatorClient
from danube_pkg.pod.server_connection import ServerConnection
from tests.services.provenance.test_statements import CONTENT
from tests.services.test_artifact_downloads import Jobs, built, started
from tests.support.engine import open_engine_setup


async def test_a_coordinator_gets_the_artifact_of_another_job_and_reports(tmp_path: Path) -> None:
    directory, jobs = tmp_path / "grpc", Jobs()
    directory.mkdir()
    async with (
        open_engine_setup(tmp_path, jobs.machine) as setup,
        CoordinatorServer(setup.coordination).serving(directory),
    ):
        source = await built(jobs, setup)
        job_id = await started(setup, Trigger("manual", "me"))
        server = ServerConnection(f"unix:{directory}/coordinator.sock", setup.keys.job_token(job_id))
        client = CoordinatorClient(server, "/workspace")
        call = DownloadCall(1, "app", "", "hello", "", allow_untrusted=False)
        got = await asyncio.to_thread(client.download, call, tmp_path / "workspace")
        assert got == tmp_path / "workspace" / "app"
        assert got.read_bytes() == CONTENT
        other = DownloadCall(2, "other", source, "", "", allow_untrusted=False)
        with pytest.raises(DanubeError, match="has no artifact 'other'") as refusal:
            await asyncio.to_thread(client.download, other, tmp_path / "workspace")
        assert refusal.value.hint
        assert [path.name for path in (tmp_path / "workspace").iterdir()] == ["app"]
        coverage = CoverageCall("unit", 1, 2, (("a.py", 1, 2),))
        note = NoteCall(1, "# a", coverage, (AnnotationCall("error", "m", "a.py", 7),))
        await asyncio.to_thread(client.add_note, note)
        (kept,) = await SqliteReports(setup.database).list_notes(job_id)
        assert (kept.summary, kept.coverage and kept.coverage.words) == ("# a", "50 % of 2 lines")
        assert kept.annotations[0].place == "a.py:7"
