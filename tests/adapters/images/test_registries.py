"""Requests to registries: retries, resumption, rate limits, redirects, mirrors, and error messages."""

import asyncio
import datetime
import email.utils
import json
import os
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.core.images.manifests import MAX_DOCUMENT_BYTES
from danube_pkg.core.images.reference import ImageUnavailable
from danube_pkg.core.images.registries import RegistrySpec
from tests.adapters.images.faults import (
    Fault,
    FaultyServer,
    Request,
    faulty_server,
    times,
    waits,
)
from tests.adapters.images.setup import BY_HAND, ImageSetup, open_image_setup, refusal
from tests.support.image_layouts import Layout, file, push
from tests.support.ports import free_port
from tests.support.registry import (
    PASSWORD,
    USER,
    Registry,
    serving,
)

LARGE_BYTES = 5 << 20


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> str:
    """The path of an image with a large layer and a small one."""
    layout = Layout(tmp_path_factory.mktemp("large") / "layout")
    layout.image("1", [[file("large", os.urandom(LARGE_BYTES))], [file("small", "x")]])
    push(layout, "1", f"{registry.host}/registries/large:1")
    return "registries/large:1"


@pytest.fixture
def server(registry: Registry) -> Iterator[FaultyServer]:
    with faulty_server(registry.host, lambda request: None) as made:
        yield made


@pytest_asyncio.fixture
async def behind(tmp_path: Path, server: FaultyServer) -> AsyncIterator[ImageSetup]:
    """A setup that reaches the registry through the faulty server."""
    async with open_image_setup(tmp_path / "behind", RegistrySpec(server.host, insecure=True)) as made:
        yield made


# --- broken connections and rate limits


async def test_a_broken_download_is_resumed_where_it_broke(
    behind: ImageSetup, server: FaultyServer, large: str
) -> None:
    server.fault_of = times(3, Fault(after_bytes=1 << 20), "/blobs/")
    image = await behind.pull(f"{server.host}/{large}")
    assert (behind.root(image) / "large").stat().st_size == LARGE_BYTES
    ranges = [request.headers["Range"] for request in server.requests if "Range" in request.headers]
    assert ranges
    assert all(int(value.removeprefix("bytes=").rstrip("-")) > 0 for value in ranges)


async def test_a_download_restarts_if_the_server_cannot_resume(
    behind: ImageSetup, server: FaultyServer, large: str
) -> None:
    cut = times(1, Fault(after_bytes=1 << 20), "/blobs/")

    def fault_of(request: Request) -> Fault | None:
        if "Range" in request.headers:
            del request.headers["Range"]  # type: ignore[attr-defined]
            return None
        return cut(request)

    server.fault_of = fault_of
    image = await behind.pull(f"{server.host}/{large}")
    assert (behind.root(image) / "large").stat().st_size == LARGE_BYTES


async def test_a_download_that_breaks_without_progress_fails(
    behind: ImageSetup, server: FaultyServer, large: str
) -> None:
    server.fault_of = lambda request: Fault(after_bytes=0) if "/blobs/" in request.path else None
    message = await refusal(behind, f"{server.host}/{large}")
    assert f"registry {server.host} cannot be reached" in message
    assert "tried 5 times" in message


async def test_a_requested_pause_is_kept(behind: ImageSetup, server: FaultyServer, large: str) -> None:
    date = email.utils.format_datetime(datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=90))
    for asked, least in (("7", 7), (date, 80)):
        server.fault_of = times(1, Fault(429, {"Retry-After": asked}), "/manifests/")
        async with open_image_setup(behind.directory / asked.replace(" ", "-"), *behind.rules) as setup:
            await setup.pull(f"{server.host}/{large}")
            assert least <= max(setup.clock.slept) <= 90


async def test_a_requested_pause_that_is_not_a_number_is_a_short_one(
    behind: ImageSetup, server: FaultyServer, large: str
) -> None:
    header = "²".encode().decode("latin-1")  # the server writes headers in this encoding, the client reads UTF-8
    server.fault_of = times(1, Fault(429, {"Retry-After": header}), "/manifests/")
    await behind.pull(f"{server.host}/{large}")
    assert max(behind.clock.slept) <= 1.0


async def test_a_manifest_that_is_too_large_is_refused(behind: ImageSetup, server: FaultyServer, large: str) -> None:
    body = b" " * (MAX_DOCUMENT_BYTES + 1)
    server.fault_of = lambda request: Fault(200, body=body) if "/manifests/" in request.path else None
    message = await refusal(behind, f"{server.host}/{large}")
    assert f"registry {server.host} sent a manifest or a configuration that is too large" in message
    assert len(server.requests) == 2


async def test_a_requested_pause_that_is_too_long_fails_the_pull(
    behind: ImageSetup, server: FaultyServer, large: str
) -> None:
    body = json.dumps({"errors": [{"code": "TOOMANYREQUESTS", "message": "pull rate limit"}]}).encode()
    server.fault_of = lambda request: Fault(429, {"Retry-After": "3600"}, body) if request.method == "GET" else None
    message = await refusal(behind, f"{server.host}/{large}")
    assert f"registry {server.host} is rate-limiting this machine (HTTP 429)" in message
    assert "429: pull rate limit and requests a pause of 3600 s" in message
    assert len(server.requests) == 2


async def test_a_failing_registry_is_retried(behind: ImageSetup, server: FaultyServer, large: str) -> None:
    server.fault_of = times(2, Fault(502), "/manifests/")
    await behind.pull(f"{server.host}/{large}")
    first, second = behind.clock.slept
    assert 0.25 <= first <= 0.5 <= second <= 1.0


async def test_an_unknown_image_is_refused(setup: ImageSetup, registry: Registry) -> None:
    message = await refusal(setup, f"{registry.host}/no/such:image")
    assert f"registry {registry.host} has no image {registry.host}/no/such:image" in message
    assert "check the name and the tag" in message


async def test_an_unreachable_registry_is_reported(tmp_path: Path) -> None:
    host = f"127.0.0.1:{free_port()}"
    async with open_image_setup(tmp_path / "alone", RegistrySpec(host, insecure=True)) as setup:
        assert f"registry {host} cannot be reached: Connection refused" in await refusal(setup, f"{host}/a:1")
        setup.requester = BY_HAND
        assert "there is no host no.such.registry.invalid" in await refusal(setup, "no.such.registry.invalid/a:1")


async def test_plain_http_is_used_only_if_configured(tmp_path: Path, registry: Registry) -> None:
    async with open_image_setup(tmp_path / "strict", requester=BY_HAND) as setup:
        message = await refusal(setup, f"{registry.host}/registries/large:1")
        assert "does not speak TLS" in message
        assert "danube image pull --http IMAGE" in message, "the option of the command at hand"
        assert f"registries: [{{host: {registry.host}, insecure: true}}]" in message


async def test_a_redirect_to_another_scheme_is_not_followed(
    behind: ImageSetup, server: FaultyServer, large: str
) -> None:
    server.fault_of = lambda request: Fault(307, {"Location": "ftp://elsewhere.invalid/x"})
    assert "redirects to a URL without TLS" in await refusal(behind, f"{server.host}/{large}")


async def test_credentials_do_not_follow_a_redirect_to_another_host(
    tmp_path: Path, registry: Registry, server: FaultyServer, large: str
) -> None:
    """A registry's storage is another server, which gets the signed URL and no password."""
    with faulty_server(registry.host, lambda request: None) as storage:
        body = json.dumps({"errors": []}).encode()

        def fault_of(request: Request) -> Fault | None:
            if "Authorization" not in request.headers:
                return Fault(401, {"WWW-Authenticate": "Basic realm=x"}, body)
            if "/blobs/" in request.path:
                return Fault(307, {"Location": f"http://{storage.host}{request.path}"})
            return None

        server.fault_of = fault_of
        async with open_image_setup(
            tmp_path / "redirected",
            RegistrySpec(server.host, insecure=True, username=USER, password_secret="PASSWORD"),
        ) as setup:
            setup.secrets["PASSWORD"] = PASSWORD.encode()
            await setup.pull(f"{server.host}/{large}")
        assert len(storage.requests) == 3
        assert not any("Authorization" in request.headers for request in storage.requests)


# --- mirrors


async def test_a_mirror_is_tried_before_the_registry(
    tmp_path: Path, registry: Registry, server: FaultyServer, large: str
) -> None:
    with serving(tmp_path / "empty") as empty, faulty_server(empty.host, lambda request: None) as mirror:
        rule = RegistrySpec(server.host, mirrors=(f"http://{mirror.host}",), insecure=True)
        async with open_image_setup(tmp_path / "mirrored", rule) as setup:
            await setup.pull(f"{server.host}/{large}")
            assert mirror.requests
            assert server.count("/blobs/") == 3
        layout = Layout(tmp_path / "copy").image("1", [[file("from-the-mirror", "x")]])
        push(layout, "1", f"{empty.host}/registries/large:1")
        before = len(server.requests)
        async with open_image_setup(tmp_path / "again", rule) as setup:
            image = await setup.pull(f"{server.host}/{large}")
            assert (setup.root(image) / "from-the-mirror").exists()
            assert len(server.requests) == before


async def test_wrong_content_of_a_mirror_is_not_used(
    tmp_path: Path, registry: Registry, server: FaultyServer, large: str
) -> None:
    server.fault_of = lambda request: Fault(200, body=b"something else") if request.method == "GET" else None
    rule = RegistrySpec(registry.host, mirrors=(f"http://{server.host}",), insecure=True)
    async with open_image_setup(tmp_path / "setup", rule) as setup:
        image = await setup.pull(f"{registry.host}/{large}")
        assert (setup.root(image) / "large").stat().st_size == LARGE_BYTES
        assert server.count("/manifests/") > 0


# --- caching


async def test_simultaneous_callers_share_one_pull(behind: ImageSetup, server: FaultyServer, large: str) -> None:
    name = f"{server.host}/{large}"
    images = await asyncio.gather(*(behind.pull(name) for _ in range(8)))
    assert len(set(images)) == 1
    assert server.count("/blobs/") == 3
    assert [line for line in behind.progress if line.startswith("pulling")] == [
        f"pulling image {name}: 2 layers, {5.0:.1f} MB"
    ] * 8


async def test_a_cancelled_caller_does_not_stop_the_pull_of_others(
    behind: ImageSetup, server: FaultyServer, large: str
) -> None:
    name = f"{server.host}/{large}"
    cancelled = asyncio.create_task(behind.pull(name), name="cancelled")
    patient = asyncio.create_task(behind.pull(name), name="patient")
    while not server.requests:
        await asyncio.wait((cancelled,), timeout=0.01)
    cancelled.cancel()
    assert (await patient).name == name
    assert cancelled.cancelled()


async def test_a_pull_without_callers_is_stopped(behind: ImageSetup, server: FaultyServer, large: str) -> None:
    released = threading.Event()
    server.fault_of = lambda request: waits(released, request) if "/blobs/" in request.path else None
    pull = asyncio.create_task(behind.pull(f"{server.host}/{large}"), name="pull")
    while not server.count("/blobs/"):
        await asyncio.wait((pull,), timeout=0.01)
    pull.cancel()
    await asyncio.wait((pull,))
    assert behind.left_over() == []
    released.set()


async def test_a_tag_is_resolved_each_time_and_a_digest_is_cached(
    behind: ImageSetup, server: FaultyServer, registry: Registry, tmp_path: Path
) -> None:
    name = f"{server.host}/registries/moving"
    for number in ("1", "2"):
        layout = Layout(tmp_path / number).image("x", [[file("x", number)]])
        push(layout, "x", f"{registry.host}/registries/moving:now")
        image = await behind.pull(f"{name}:now")
        assert (behind.root(image) / "x").read_text() == number
    await behind.pull(f"{name}@{image.digest}")
    before = len(server.requests)
    assert (await behind.pull(f"{name}@{image.digest}")).chain == image.chain
    assert len(server.requests) == before
    await behind.pull(f"{name}:now")
    assert [request.method for request in server.requests[before:]] == ["HEAD"]


async def test_a_cached_copy_is_used_if_the_registry_does_not_answer(
    behind: ImageSetup, server: FaultyServer, large: str
) -> None:
    name = f"{server.host}/{large}"
    image = await behind.pull(name)
    for fault in (Fault(502), Fault(429, {"Retry-After": "3600"})):
        behind.progress.clear()
        server.fault_of = lambda request, fault=fault: fault  # type: ignore[misc]
        assert await behind.pull(name) == image
        assert [line for line in behind.progress if "using the cached copy" in line]


async def test_a_cached_copy_is_not_used_without_access(behind: ImageSetup, server: FaultyServer, large: str) -> None:
    name = f"{server.host}/{large}"
    await behind.pull(name)
    server.fault_of = lambda request: Fault(403)
    with pytest.raises(ImageUnavailable):
        await behind.pull(name)


async def test_cached_layers_are_not_downloaded_again(
    behind: ImageSetup, server: FaultyServer, registry: Registry, tmp_path: Path
) -> None:
    base = [file("base", os.urandom(1000))]
    for number in ("1", "2"):
        layout = Layout(tmp_path / number).image("x", [base, [file("own", number)]])
        push(layout, "x", f"{registry.host}/registries/shared:{number}")
        await behind.pull(f"{server.host}/registries/shared:{number}")
    assert server.count("/blobs/") == 3 + 2


async def test_a_name_without_a_host_is_in_the_default_registry(tmp_path: Path, registry: Registry) -> None:
    async with open_image_setup(tmp_path / "setup") as setup:
        assert setup.images.full_name("app") == "registry.invalid/app:latest"
