"""A real Prometheus with the files of `deploy/`: it scrapes a server and evaluates every alert."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from danube_pkg.edges.http.metrics.definitions import ALERTS, SPECIFIED
from tests.edges.http.api import Caller, open_api
from tests.support.ports import free_port
from tests.support.waiting import wait_until_true

DEPLOY = Path(__file__).parents[3] / "deploy"

pytestmark = pytest.mark.long


@asynccontextmanager
async def prometheus(directory: Path, target: str) -> AsyncIterator[Caller]:
    """Prometheus with the documented configuration, whose target and pace are those of the test."""
    program = shutil.which("prometheus")
    assert program is not None, "prometheus is missing. hint: apt-get install prometheus"
    directory.mkdir()
    shutil.copy(DEPLOY / "alerts.yml", directory)
    text = (DEPLOY / "prometheus.yml").read_text()
    assert "localhost:8080" in text
    text = text.replace("localhost:8080", target).replace("scrape_interval: 30s", "scrape_interval: 1s")
    (directory / "prometheus.yml").write_text(text.replace("global:\n", "global:\n  evaluation_interval: 1s\n"))
    address = f"127.0.0.1:{free_port()}"
    words = ("--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address={address}")
    with (directory / "printed").open("wb") as printed:
        process = await asyncio.create_subprocess_exec(
            program, *words, cwd=directory, stdout=printed, stderr=subprocess.STDOUT
        )
    try:
        caller = Caller("prometheus", f"http://{address}")

        async def answers() -> bool:
            assert process.returncode is None, (directory / "printed").read_text()
            return (await caller.reachable("/-/ready")) == 200

        await wait_until_true(answers, 30, "Prometheus to answer")
        yield caller
    finally:
        process.terminate()
        await process.wait()


async def results(caller: Caller, query: str) -> list[dict[str, Any]]:
    answer = (await caller.get(f"/api/v1/query?query={query}")).json
    assert answer["status"] == "success"
    return list(answer["data"]["result"])


async def test_a_real_prometheus_scrapes_the_server_and_evaluates_the_alerts(tmp_path: Path) -> None:
    async with open_api(tmp_path / "api") as api:
        await api.local.post("/api/v1/config/sync")
        async with prometheus(tmp_path / "prometheus", api.address.removeprefix("http://")) as caller:

            async def is_scraped() -> bool:
                found = await results(caller, "up")
                return [one["value"][1] for one in found] == ["1"]

            await wait_until_true(is_scraped, 60, "a scrape")
            known = (await caller.get("/api/v1/metadata")).json["data"]
            assert {one.name for one in SPECIFIED} <= known.keys()  # also those without a sample yet

            async def rules() -> list[dict[str, Any]]:
                groups = (await caller.get("/api/v1/rules")).json["data"]["groups"]
                return [rule for group in groups for rule in group["rules"]]

            async def are_evaluated() -> bool:
                return all(rule["health"] != "unknown" for rule in await rules())

            await wait_until_true(are_evaluated, 60, "every rule to be evaluated")
            found = {rule["name"]: (rule["health"], rule.get("lastError", "")) for rule in await rules()}
            assert found == {one.name: ("ok", "") for one in ALERTS}
