"""`danube forge check` says what is missing at the forges, and fails where something is."""

import asyncio
import json

from tests.cli.shell import DANUBE, Shell
from tests.edges.http.api import Api

CONFIGURATION = """
apiVersion: danube.dev/v1
kind: Pipeline
metadata: {name: app}
spec: {repository: "https://git.example.org/acme/app", triggers: [{on: push}]}
"""


async def test_what_is_missing_is_listed_for_each_repository(api: Api, shell: Shell) -> None:
    assert json.loads(await shell.danube("forge", "check", "--json", "--data", str(api.path))) == []
    (api.path / "config" / "pipelines").mkdir()
    (api.path / "config" / "pipelines" / "app.yaml").write_text(CONFIGURATION)
    await api.local.post("/api/v1/config/sync")
    words = [*DANUBE, "forge", "check", "--data", str(api.path)]
    done = await asyncio.to_thread(shell.run_process, words, "")
    assert done.returncode == 1
    row, *problems = done.stdout.splitlines()
    assert row.split() == ["git.example.org/acme/app", "yes", "no", "no", "never"]
    assert problems == [
        "git.example.org/acme/app: webhook: no delivery of a webhook has arrived in 30 days",
        "git.example.org/acme/app: commit status: no rule of git_authentication with an API matches it",
    ]
