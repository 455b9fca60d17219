"""Jobs on Kubernetes, through a real server and the fake API server, whose containers are processes of this machine."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.fakes.kubernetes.cluster import FakeCluster, open_cluster
from tests.fakes.kubernetes.resources import PODS, SECRETS
from tests.support.ports import free_port
from tests.support.server import Installation
from tests.support.waiting import wait_until

pytestmark = pytest.mark.long

NAMESPACE = "danube-jobs"

BUILD = """
    from danube import artifacts, ctx, pipeline, secrets, step

    @pipeline(name="Build")
    def build():
        done = step.run("echo made by $DANUBE_JOB_ID > made; cat file; echo $HOME", name="Make")
        assert done.output.startswith("of the repository")
        with step.parallel():
            for number in range(3):
                step.start(f"cat made > copy-{number}; echo copied {number}", name=f"Copy {number}", image="other:1")
        failed = step.run("echo before; exit 7", name="Fails", check=False)
        assert failed.exit_code == 7
        step.run("test $(cat copy-* | sort -u | wc -l) = 1; echo $TOKEN", env={"TOKEN": secrets.get("TOKEN")})
        artifacts.upload("made", name="made")
"""

LONG = """
    from danube import pipeline, step

    @pipeline(name="Long")
    def long():
        step.run("echo up; while [ ! -e go ]; do sleep 0.1; done; echo down", name="Long")
        step.run("echo behind", name="Behind")
"""


@pytest_asyncio.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[FakeCluster]:
    async with open_cluster(tmp_path / "cluster") as opened:
        yield opened


@pytest.fixture
def on_cluster(danube: Installation, cluster: FakeCluster) -> Installation:
    """An installation whose jobs run on the cluster; nothing in it enforces policies, which its jobs say."""
    address = f"127.0.0.1:{free_port()}"
    settings = (danube.path / "danube.toml").read_text()
    (danube.path / "danube.toml").write_text(f'{settings}grpc_address = "{address}"\n')
    danube.add_settings(f'[runtime]\nkubeconfig = "{cluster.kubeconfig}"\n')
    danube.add_settings('[kubernetes]\ndefault_image = "programs:1"\n')
    danube.add_settings(
        f'[egress]\nunenforced = "warn"\ntranslated_networks = ["127.0.0.0/8"]\nbind_address = "127.0.0.1:{free_port()}"\n'
    )
    return danube


async def test_a_job_runs_and_leaves_nothing(on_cluster: Installation, cluster: FakeCluster) -> None:
    def run() -> None:
        on_cluster.pipeline("build", BUILD, {"file": "of the repository\n"})
        on_cluster.serve()
        on_cluster.command("secrets", "set", "TOKEN", "--pipeline", "build", stdin="hidden-value")
        job = on_cluster.trigger("build")
        end = on_cluster.end_of(job)
        log = on_cluster.log(job)
        assert end["status"] == "success", log
        assert "copied 2" in log
        assert "hidden-value" not in log
        downloaded = on_cluster.path / "made"
        on_cluster.command("artifacts", "download", job, "made", "-o", str(downloaded))
        wait_until(lambda: not cluster.objects(PODS) and not cluster.objects(SECRETS), 30, "the objects to be removed")
        assert "kubernetes" in on_cluster.server_log.read_text()
        on_cluster.stop()

    await asyncio.to_thread(run)


async def test_a_job_continues_when_its_server_was_killed(on_cluster: Installation, cluster: FakeCluster) -> None:
    def run() -> None:
        on_cluster.pipeline("long", LONG)
        on_cluster.serve()
        job = on_cluster.trigger("long")
        on_cluster.wait_for_log(job, "up")
        on_cluster.kill()
        (pod,) = cluster.objects(PODS, NAMESPACE)
        (cluster.directory / "pods" / pod["metadata"]["uid"] / "volumes" / "workspace" / "go").touch()
        on_cluster.serve()
        assert on_cluster.end_of(job)["status"] == "success"
        printed = on_cluster.printed(job).splitlines()
        assert [line for line in printed if line in ("up", "down", "behind")] == ["up", "down", "behind"]
        on_cluster.stop()

    await asyncio.to_thread(run)


async def test_an_evicted_pod_never_makes_a_job_green(on_cluster: Installation, cluster: FakeCluster) -> None:
    def run() -> None:
        on_cluster.pipeline("long", LONG)
        on_cluster.serve()
        job = on_cluster.trigger("long")
        on_cluster.wait_for_log(job, "up")

    await asyncio.to_thread(run)
    (pod,) = cluster.objects(PODS, NAMESPACE)
    cluster.evict(NAMESPACE, pod["metadata"]["name"], "The node was low on resource: memory. ")

    def end() -> None:
        (job,) = on_cluster.jobs()
        found = on_cluster.end_of(job["id"])
        assert (found["status"], found["reason"]) == ("failure", "evicted")
        assert "low on resource: memory" in found["message"]
        wait_until(lambda: not cluster.objects(PODS), 30, "the pod to be removed")
        on_cluster.stop()

    await asyncio.to_thread(end)
