"""`danube reap` and `danube jobs keep`."""

from tests.cli.shell import Shell
from tests.edges.http.api import Api
from tests.edges.http.test_retention import old_job, with_pipeline


async def test_old_files_are_listed_kept_and_removed(api: Api, shell: Shell) -> None:
    await with_pipeline(api)
    await api.parts.retention.check()
    job = await old_job(api, 40)
    data = ("--data", str(api.path))
    listed = await shell.danube("reap", "--dry-run", *data)
    assert job.id in listed
    assert "1 would be removed" in listed
    assert "kept by local-administrator" in await shell.danube("jobs", "keep", job.id, *data)
    assert "0 removed" in await shell.danube("reap", *data)
    assert "not kept" in await shell.danube("jobs", "keep", job.id, "--undo", *data)
    assert "1 removed" in await shell.danube("reap", *data)
    assert "removed already: log" in await shell.danube("jobs", "keep", job.id, *data)
    assert "danube jobs keep JOB" in await shell.danube("logs", job.id, *data, code=3)
    assert "is not one job" in await shell.danube("jobs", "keep", "a", "b", *data, code=2)
