"""`danube health`: each subsystem with its reason and hint, and an exit code for scripts."""

import json

from tests.cli.shell import Shell
from tests.edges.http.api import Api


async def test_health_names_what_is_wrong_and_says_when_all_is_well(api: Api, shell: Shell) -> None:
    found = json.loads(await shell.run_out("health", "--json", "--data", str(api.path), code=1))
    parts = {one["part"]: one for one in found["parts"]}
    assert (found["status"], parts["configuration"]["reference"]) == ("not-ready", "configuration-missing")
    assert parts["configuration"]["hint"] == "danube config status shows why"
    assert parts["database"]["ok"]
    printed = await shell.run_out("health", "--data", str(api.path), code=1)
    assert "FAIL configuration, since" in printed
    assert "no configuration was ever applied" in printed
    assert "hint: danube config status shows why" in printed
    await api.local.post("/api/v1/config/sync")
    assert "the server is ready" in await shell.danube("health", "--data", str(api.path))
    await api.local.post("/api/v1/system/drain")
    assert "the server is draining" in await shell.run_out("health", "--data", str(api.path), code=1)
