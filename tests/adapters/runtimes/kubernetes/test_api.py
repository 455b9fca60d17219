"""Requests and the watch, over an API server whose every response is written here."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from danube_pkg.adapters.runtimes.kubernetes.access import ClusterAccess
from danube_pkg.adapters.runtimes.kubernetes.api import ClusterApi
from danube_pkg.adapters.runtimes.kubernetes.api_errors import refusal
from danube_pkg.adapters.runtimes.kubernetes.call_counts import UNREACHABLE, operation_of
from danube_pkg.adapters.runtimes.kubernetes.pod_watch import PodWatch
from danube_pkg.core.errors import Conflict, NotFound, Permanent, PlatformError, Throttled, Unavailable
from danube_pkg.core.reasons import Reason
from danube_pkg.core.runtimes.choice import ClusterLocation
from tests.adapters.runtimes.kubernetes.objects import INSTANCE, pod_object, running
from tests.adapters.runtimes.kubernetes.scripted_server import (
    PODS,
    kubeconfig,
    listed,
    refused,
    scripted_server,
    watched,
)
from tests.support.waiting import wait_until_async

SECONDS = 20.0


def versioned(version: str, pod: dict[str, Any] | None = None) -> dict[str, Any]:
    made = pod or pod_object()
    made["metadata"]["resourceVersion"] = version
    return made


@pytest.mark.parametrize(
    ("status", "message", "kind", "reference"),
    [
        (403, 'pods "x" is forbidden: exceeded quota: jobs, requested: memory=1Gi', Unavailable, "quota-exceeded"),
        (403, 'pods "x" is forbidden: violates PodSecurity "restricted:latest": …', Permanent, Reason.POD_FAILED),
        (403, 'User "u" cannot create resource "pods"', Permanent, Reason.POD_FAILED),
        (404, "not found", NotFound, "cluster-object-missing"),
        (409, "already exists", Conflict, "cluster-conflict"),
        (422, "spec.containers[0].image: Required value", Permanent, Reason.POD_FAILED),
        (429, "too many requests", Throttled, "cluster-busy"),
        (500, "etcdserver: request timed out", Unavailable, "cluster-failing"),
    ],
)
def test_each_refusal_is_of_danube_s_own_kind(
    status: int, message: str, kind: type[PlatformError], reference: str
) -> None:
    error = refusal(status, {"message": message}, "POST pods")
    assert type(error) is kind
    assert (error.reference, error.cause) == (reference, message)


async def test_a_server_that_is_busy_or_failing_is_asked_again(tmp_path: Path) -> None:
    async with scripted_server(tmp_path) as (server, access):
        responses = [refused(429, "busy", **{"Retry-After": "0"}), refused(500, "failing"), listed("7")]

        async def respond(request: web.Request) -> web.StreamResponse:
            return responses.pop(0)

        server.handlers["GET", PODS] = respond
        assert await ClusterApi(access).list_all(PODS, "") == ([], "7")
        assert server.seen[0].headers["Authorization"] == "Bearer of-the-test"


async def test_a_server_that_is_gone_is_unavailable(tmp_path: Path) -> None:
    async with scripted_server(tmp_path) as (_, access):
        pass
    kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:9", {"token": "t"})
    with pytest.raises(Unavailable) as refusal_of_it:
        await ClusterApi(access).get(PODS)
    assert refusal_of_it.value.reference == "cluster-unreachable"
    await access.close()


async def test_an_expired_credential_is_read_again(tmp_path: Path) -> None:
    """Here from a program that the kubeconfig names, as clusters of the large providers have it."""
    program = tmp_path / "credential.py"
    program.write_text(
        "import json, pathlib\n"
        "count = pathlib.Path(__file__).with_suffix('.count')\n"
        "before = count.read_text() if count.exists() else ''\n"
        "count.write_text(before + 'x')\n"
        "token = f'token-{len(before)}'\n"
        "kind = {'apiVersion': 'client.authentication.k8s.io/v1', 'kind': 'ExecCredential'}\n"
        "print(json.dumps(kind | {'status': {'token': token}}))\n"
    )
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": [str(program)],
            "interactiveMode": "Never",
        }
    }
    async with scripted_server(tmp_path, user) as (server, access):

        async def respond(request: web.Request) -> web.StreamResponse:
            return listed("1") if request.headers["Authorization"].endswith("token-1") else refused(401, "expired")

        server.handlers["GET", PODS] = respond
        assert await ClusterApi(access).list_all(PODS, "") == ([], "1")


async def test_a_kubeconfig_that_cannot_be_used_is_refused_with_its_name(tmp_path: Path) -> None:
    async with scripted_server(tmp_path) as (_, access):
        (tmp_path / "kubeconfig").write_text("current-context: [")
        with pytest.raises(Permanent) as refusal_of_it:
            await access.open()
    assert refusal_of_it.value.reference == "kubeconfig-unusable"
    assert "kubeconfig" in str(refusal_of_it.value)


async def test_a_list_continues_page_by_page(tmp_path: Path) -> None:
    async with scripted_server(tmp_path) as (server, access):

        async def respond(request: web.Request) -> web.StreamResponse:
            if "continue" not in request.query:
                metadata = {"resourceVersion": "5", "continue": "next"}
                return web.json_response({"items": [{"n": 1}], "metadata": metadata})
            assert request.query["continue"] == "next"
            return listed("5", {"n": 2})

        server.handlers["GET", PODS] = respond
        assert await ClusterApi(access).list_all(PODS, "a=b") == ([{"n": 1}, {"n": 2}], "5")


async def test_the_watch_resumes_behind_the_last_bookmark_and_lists_again_after_410(tmp_path: Path) -> None:
    async with scripted_server(tmp_path) as (server, access):
        versions: list[str] = []
        bookmark = {"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": "40"}}}
        gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old resource version"}}

        async def respond(request: web.Request) -> web.StreamResponse:
            assert request.query["labelSelector"] == f"danube.dev/instance={INSTANCE}"
            if "watch" not in request.query:
                return listed("10", versioned("9"))
            versions.append(request.query["resourceVersion"])
            match len(versions):
                case 1:
                    return await watched(
                        request, {"type": "MODIFIED", "object": versioned("20", running(pod_object()))}
                    )
                case 2:
                    return await watched(request, bookmark)
                case 3:
                    return await watched(request, gone)
            return await watched(request, ends=False)

        server.handlers["GET", PODS] = respond
        watch = PodWatch(ClusterApi(access), INSTANCE, ("danube-jobs",))
        watch.start()
        await wait_until_async(lambda: len(versions) == 4, SECONDS, "the second list")
        assert versions == ["10", "20", "40", "10"]
        assert watch.relists == 2
        await watch.close()


async def test_a_pod_that_vanished_without_a_word_has_ended(tmp_path: Path) -> None:
    """While no watch was open: the next list does not have it."""
    async with scripted_server(tmp_path) as (server, access):
        items = [versioned("1", running(pod_object()))]
        ended: list[str] = []

        async def respond(request: web.Request) -> web.StreamResponse:
            if "watch" not in request.query:
                return listed("10", *items)
            gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}
            had_items = bool(items)
            items.clear()
            return await watched(request, *([gone] if had_items else []), ends=had_items)

        server.handlers["GET", PODS] = respond
        watch = PodWatch(ClusterApi(access), INSTANCE, ("danube-jobs",))
        watch.listen(lambda pod: ended.extend(one.container.pod_id for one in pod.ended))
        watch.start()
        await wait_until_async(lambda: ended, SECONDS, "the end of the pod")
        assert watch.pods == {}
        await watch.close()


async def test_a_watch_that_is_refused_is_a_problem_until_it_is_open(tmp_path: Path) -> None:
    async with scripted_server(tmp_path) as (server, access):
        responses = [refused(403, 'User "u" cannot list resource "pods"')]

        async def respond(request: web.Request) -> web.StreamResponse:
            if "watch" in request.query:
                return await watched(request, ends=False)
            return responses[0] if responses else listed("1")

        server.handlers["GET", PODS] = respond
        watch = PodWatch(ClusterApi(access), INSTANCE, ("danube-jobs",))
        watch.start()
        await wait_until_async(lambda: watch.problem is not None, SECONDS, "the problem")
        assert "cannot list" in str(watch.problem)
        responses.clear()
        await watch.synced()
        await wait_until_async(lambda: watch.problem is None, SECONDS, "its end")
        await watch.close()


async def test_waiting_ends_when_the_condition_holds_or_the_time_is_over(tmp_path: Path) -> None:
    async with scripted_server(tmp_path) as (server, access):
        release = asyncio.Event()

        async def respond(request: web.Request) -> web.StreamResponse:
            if "watch" not in request.query:
                return listed("1")
            await release.wait()
            return await watched(
                request, {"type": "ADDED", "object": versioned("2", running(pod_object()))}, ends=False
            )

        server.handlers["GET", PODS] = respond
        watch = PodWatch(ClusterApi(access), INSTANCE, ("danube-jobs",))
        assert await watch.wait(lambda: watch.pods.get("pod-1"), 0.05) is None
        release.set()
        found = await watch.wait(lambda: watch.pods.get("pod-1"), SECONDS)
        assert found is not None
        assert found.address == "10.1.0.7"
        await watch.close()


async def test_requests_are_counted_by_operation_and_status(tmp_path: Path) -> None:
    async with scripted_server(tmp_path) as (server, access):
        responses = [refused(500, "failing"), listed("7")]

        async def list_pods(_request: web.Request) -> web.Response:
            return responses.pop(0)

        server.handlers["GET", PODS] = list_pods
        api = ClusterApi(access)
        await api.get(PODS)
        with pytest.raises(NotFound):
            await api.delete(f"{PODS}/one")
        assert access.calls.by_label() == {"list-pods 500": 1, "list-pods 200": 1, "delete-pods 404": 1}


async def test_a_server_without_a_response_is_counted(tmp_path: Path) -> None:
    access = ClusterAccess(ClusterLocation(kubeconfig(tmp_path / "config", "http://127.0.0.1:9", {})))
    try:
        session, address = await access.open()
        with pytest.raises(OSError, match=r"127\.0\.0\.1"):
            await session.get(f"{address}/version")
        assert access.calls.by_label() == {f"list-server {UNREACHABLE}": 1}
    finally:
        await access.close()


@pytest.mark.parametrize(
    ("method", "url", "operation"),
    [
        ("GET", "https://h/api/v1/namespaces/n/pods?watch=1&limit=5", "watch-pods"),
        ("GET", "https://h/api/v1/namespaces/n/pods/a/log", "get-pods/log"),
        ("GET", "https://h/api/v1/namespaces/n/pods/a/exec?command=sh", "get-pods/exec"),
        ("POST", "https://h/api/v1/namespaces/n/secrets", "create-secrets"),
        ("PATCH", "https://h/api/v1/namespaces/n/pods/a/ephemeralcontainers", "patch-pods/ephemeralcontainers"),
        ("GET", "https://h/apis/networking.k8s.io/v1/namespaces/n/networkpolicies/x", "get-networkpolicies"),
        ("GET", "https://h/api/v1/namespaces/n", "get-namespaces"),
        ("GET", "https://h/api/v1/nodes", "list-nodes"),
        ("GET", "https://h/version", "list-server"),
    ],
)
def test_an_operation_names_no_object(method: str, url: str, operation: str) -> None:
    assert operation_of(method, URL(url)) == operation
