"""`danube doctor` says which runtime was taken, why, and what a cluster answers."""

from pathlib import Path

from aiohttp import web

from danube_pkg.adapters.runtimes.kubernetes.access_rights import REQUIRED_VERBS
from danube_pkg.core.configuration.settings import ConfigRepository, RuntimeKind, RuntimeSettings, Settings
from danube_pkg.core.runtimes.choice import ClusterFacts
from danube_pkg.ops.runtime_check import check_runtime
from tests.adapters.runtimes.kubernetes.scripted_server import ScriptedServer, scripted_server

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def settings(**runtime: object) -> Settings:
    return Settings(ConfigRepository("config"), runtime=RuntimeSettings(**runtime))  # type: ignore[arg-type]


def allow(server: ScriptedServer, refused: str) -> None:
    """The cluster has a version, and refuses one right: `VERB RESOURCE`."""

    async def version(request: web.Request) -> web.StreamResponse:
        return web.json_response({"gitVersion": "v1.36.2"})

    async def review(request: web.Request) -> web.StreamResponse:
        asked = (await request.json())["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, (asked["resource"], asked["subresource"])))
        return web.json_response({"status": {"allowed": f"{asked['verb']} {resource}" != refused}})

    server.handlers["GET", "/version"] = version
    server.handlers["POST", REVIEWS] = review


async def test_the_sandbox_says_why() -> None:
    found = await check_runtime(settings(), ClusterFacts())
    assert (found.ok, found.what) == (True, "sandbox: no cluster is configured ([runtime] kubeconfig)")


async def test_a_cluster_that_was_not_named_is_a_failure() -> None:
    found = await check_runtime(settings(kind=RuntimeKind.KUBERNETES), ClusterFacts())
    assert not found.ok
    assert "kubeconfig" in found.hint


async def test_a_cluster_answers_with_its_version(tmp_path: Path) -> None:
    async with scripted_server(tmp_path) as (server, _):
        allow(server, "")
        found = await check_runtime(settings(kubeconfig=str(tmp_path / "kubeconfig")), ClusterFacts())
    assert found.ok
    assert found.what.endswith("Kubernetes v1.36.2")
    reviews = sum(len(verbs) for verbs in REQUIRED_VERBS.values()) * 2
    assert server.count("POST", REVIEWS) == reviews


async def test_missing_rights_are_named(tmp_path: Path) -> None:
    async with scripted_server(tmp_path) as (server, _):
        allow(server, "create pods/exec")
        found = await check_runtime(settings(kubeconfig=str(tmp_path / "kubeconfig")), ClusterFacts())
    assert not found.ok
    assert "create pods/exec in danube-jobs, create pods/exec in danube-builds" in found.what
    assert "rbac" in found.hint


async def test_a_cluster_that_does_not_answer_is_a_failure(tmp_path: Path) -> None:
    async with scripted_server(tmp_path) as (server, _):
        assert server.address
    found = await check_runtime(settings(kubeconfig=str(tmp_path / "kubeconfig")), ClusterFacts())
    assert not found.ok
    assert "not reachable" in found.what
