"""The network of jobs on Kubernetes, through a real server, its egress proxy and the fake API server."""

import asyncio
import json

import pytest

from tests.adapters.runtimes.sandbox.origins import Origin
from tests.e2e.test_egress import allowed, origin
from tests.e2e.test_kubernetes import cluster, on_cluster
from tests.fakes.kubernetes.cluster import FakeCluster
from tests.fakes.kubernetes.resources import RESOURCES
from tests.support.server import FILES_TEST, Installation
from tests.support.waiting import wait_until

__all__ = ["cluster", "on_cluster", "origin"]

pytestmark = pytest.mark.long

POLICIES = RESOURCES["networkpolicies"]


async def test_a_job_reaches_its_allowlist_through_the_proxy(
    on_cluster: Installation, cluster: FakeCluster, origin: Origin
) -> None:
    file = on_cluster.path / "danube.toml"
    file.write_text(file.read_text().replace("[egress]\n", FILES_TEST))

    def run() -> None:
        on_cluster.pipeline(
            "app",
            f"""
            from danube import pipeline, step

            @pipeline(name="app")
            def build():
                step.run("curl -sS http://files.test:{origin.server_port}/hello", name="reach")
                step.run("curl -sS https://evil.test/ || true; echo $HTTPS_PROXY", name="refused")
                step.run("https_proxy=http://x:y@${{HTTPS_PROXY#*@}} curl -sS https://files.test/ || true", name="guess")
            """,
            egress_allowlist=allowed(origin.server_port),
        )
        on_cluster.serve()
        job = on_cluster.trigger("app")
        end = on_cluster.end_of(job)
        log = on_cluster.log(job)
        assert end["status"] == "success", log
        assert "hello\n" in log
        assert "--- step 2: egress refused: evil.test:443 (not-listed): " in log
        assert f"http://{job}.2:***@127.0.0.1:" in log
        assert "407" in log[log.index("--- step 3 ") :]
        assert "nothing enforces the allowlist in this cluster" in log
        assert on_cluster.job(job)["egress_enforced_by"] == "nothing"
        found = json.loads(on_cluster.command("explain", job, "--egress", "--json").stdout)
        assert [(one["step"], one["host"], one["verdict"]) for one in found["destinations"]][:2] == [
            (1, "files.test", "allowed"),
            (2, "evil.test", "refused"),
        ]
        wait_until(lambda: not cluster.objects(POLICIES), 30, "the policy to be removed")
        assert "egress-unenforced" in on_cluster.command("config", "status", "--json", check=False).stdout
        on_cluster.stop()

    await asyncio.to_thread(run)
