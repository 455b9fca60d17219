"""How registries are asked: credentials from everywhere, mirrors, waiting, taking up what broke off, and saying what is wrong."""

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

from danube_pkg.core.images.reference import ImageUnavailable
from danube_pkg.core.images.registries import RegistrySpec
from tests.adapters.images.faults import (
    Fault,
    Request,
    Spoiled,
    spoiling,
    times,
    waits,
)
from tests.adapters.images.setup import ImageSetup, open_image_setup, refusal
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
def spoiled(registry: Registry) -> Iterator[Spoiled]:
    with spoiling(registry.host, lambda request: None) as made:
        yield made


@pytest_asyncio.fixture
async def behind(tmp_path: Path, spoiled: Spoiled) -> AsyncIterator[ImageSetup]:
    """A setup that reaches the registry through the spoiling server."""
    async with open_image_setup(tmp_path / "behind", RegistrySpec(spoiled.host, insecure=True)) as made:
        yield made


# --- what breaks on the way


async def test_a_layer_that_breaks_off_is_taken_up_where_it_broke(
    behind: ImageSetup, spoiled: Spoiled, large: str
) -> None:
    spoiled.spoil = times(3, Fault(after_bytes=1 << 20), "/blobs/")
    image = await behind.pull(f"{spoiled.host}/{large}")
    assert (behind.root(image) / "large").stat().st_size == LARGE_BYTES
    ranges = [request.headers["Range"] for request in spoiled.seen if "Range" in request.headers]
    assert ranges
    assert all(int(value.removeprefix("bytes=").rstrip("-")) > 0 for value in ranges)


async def test_a_server_that_does_not_continue_is_asked_from_the_beginning(
    behind: ImageSetup, spoiled: Spoiled, large: str
) -> None:
    cut = times(1, Fault(after_bytes=1 << 20), "/blobs/")

    def spoil(request: Request) -> Fault | None:
        if "Range" in request.headers:
            del request.headers["Range"]  # type: ignore[attr-defined]
            return None
        return cut(request)

    spoiled.spoil = spoil
    image = await behind.pull(f"{spoiled.host}/{large}")
    assert (behind.root(image) / "large").stat().st_size == LARGE_BYTES


async def test_a_stream_that_is_cut_again_and_again_is_refused(
    behind: ImageSetup, spoiled: Spoiled, large: str
) -> None:
    spoiled.spoil = lambda request: Fault(after_bytes=0) if "/blobs/" in request.path else None
    said = await refusal(behind, f"{spoiled.host}/{large}")
    assert f"registry {spoiled.host} cannot be reached" in said
    assert "tried 5 times" in said


async def test_a_registry_that_asks_to_wait_is_waited_for(behind: ImageSetup, spoiled: Spoiled, large: str) -> None:
    date = email.utils.format_datetime(datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=90))
    for asked, least in (("7", 7), (date, 80)):
        spoiled.spoil = times(1, Fault(429, {"Retry-After": asked}), "/manifests/")
        async with open_image_setup(behind.directory / asked.replace(" ", "-"), *behind.rules) as setup:
            await setup.pull(f"{spoiled.host}/{large}")
            assert least <= max(setup.clock.slept) <= 90


async def test_a_registry_that_asks_to_wait_for_too_long_is_refused(
    behind: ImageSetup, spoiled: Spoiled, large: str
) -> None:
    body = json.dumps({"errors": [{"code": "TOOMANYREQUESTS", "message": "pull rate limit"}]}).encode()
    spoiled.spoil = lambda request: Fault(429, {"Retry-After": "3600"}, body) if request.method == "GET" else None
    said = await refusal(behind, f"{spoiled.host}/{large}")
    assert f"registry {spoiled.host} has had enough of this machine's requests" in said
    assert "429: pull rate limit and asks to wait 3600 s" in said
    assert len(spoiled.seen) == 2


async def test_a_failing_registry_is_asked_again(behind: ImageSetup, spoiled: Spoiled, large: str) -> None:
    spoiled.spoil = times(2, Fault(502), "/manifests/")
    await behind.pull(f"{spoiled.host}/{large}")
    first, second = behind.clock.slept
    assert 0.25 <= first <= 0.5 <= second <= 1.0


async def test_an_image_that_is_not_there(setup: ImageSetup, registry: Registry) -> None:
    said = await refusal(setup, f"{registry.host}/no/such:image")
    assert f"registry {registry.host} has no image {registry.host}/no/such:image" in said
    assert "check the name and the tag" in said


async def test_a_registry_that_is_not_there(tmp_path: Path) -> None:
    host = f"127.0.0.1:{free_port()}"
    async with open_image_setup(tmp_path / "alone", RegistrySpec(host, insecure=True)) as setup:
        assert f"registry {host} cannot be reached: Connection refused" in await refusal(setup, f"{host}/a:1")
        assert "there is no host no.such.registry.invalid" in await refusal(setup, "no.such.registry.invalid/a:1")


async def test_plain_http_is_spoken_only_where_it_is_configured(tmp_path: Path, registry: Registry) -> None:
    async with open_image_setup(tmp_path / "strict") as setup:
        said = await refusal(setup, f"{registry.host}/registries/large:1")
        assert "does not speak TLS" in said
        assert f"registries: [{{host: {registry.host}, insecure: true}}]" in said


async def test_a_redirect_to_a_place_without_tls_is_not_followed(
    behind: ImageSetup, spoiled: Spoiled, large: str
) -> None:
    spoiled.spoil = lambda request: Fault(307, {"Location": "ftp://elsewhere.invalid/x"})
    assert "redirects to a place without TLS" in await refusal(behind, f"{spoiled.host}/{large}")


async def test_credentials_do_not_follow_a_redirect_to_another_host(
    tmp_path: Path, registry: Registry, spoiled: Spoiled, large: str
) -> None:
    """A registry's storage is somebody else, who is to see the signed URL and no password."""
    with spoiling(registry.host, lambda request: None) as storage:
        body = json.dumps({"errors": []}).encode()

        def spoil(request: Request) -> Fault | None:
            if "Authorization" not in request.headers:
                return Fault(401, {"WWW-Authenticate": "Basic realm=x"}, body)
            if "/blobs/" in request.path:
                return Fault(307, {"Location": f"http://{storage.host}{request.path}"})
            return None

        spoiled.spoil = spoil
        async with open_image_setup(
            tmp_path / "redirected",
            RegistrySpec(spoiled.host, insecure=True, username=USER, password_secret="PASSWORD"),
        ) as setup:
            setup.secrets["PASSWORD"] = PASSWORD.encode()
            await setup.pull(f"{spoiled.host}/{large}")
        assert len(storage.seen) == 3
        assert not any("Authorization" in request.headers for request in storage.seen)


# --- mirrors


async def test_a_mirror_is_asked_first_and_the_registry_for_what_it_has_not(
    tmp_path: Path, registry: Registry, spoiled: Spoiled, large: str
) -> None:
    with serving(tmp_path / "empty") as empty, spoiling(empty.host, lambda request: None) as mirror:
        rule = RegistrySpec(spoiled.host, mirrors=(f"http://{mirror.host}",), insecure=True)
        async with open_image_setup(tmp_path / "mirrored", rule) as setup:
            await setup.pull(f"{spoiled.host}/{large}")
            assert mirror.seen
            assert spoiled.count("/blobs/") == 3
        layout = Layout(tmp_path / "copy").image("1", [[file("of-the-mirror", "x")]])
        push(layout, "1", f"{empty.host}/registries/large:1")
        before = len(spoiled.seen)
        async with open_image_setup(tmp_path / "again", rule) as setup:
            image = await setup.pull(f"{spoiled.host}/{large}")
            assert (setup.root(image) / "of-the-mirror").exists()
            assert len(spoiled.seen) == before


async def test_a_mirror_that_lies_is_passed_over(
    tmp_path: Path, registry: Registry, spoiled: Spoiled, large: str
) -> None:
    spoiled.spoil = lambda request: Fault(200, body=b"something else") if request.method == "GET" else None
    rule = RegistrySpec(registry.host, mirrors=(f"http://{spoiled.host}",), insecure=True)
    async with open_image_setup(tmp_path / "setup", rule) as setup:
        image = await setup.pull(f"{registry.host}/{large}")
        assert (setup.root(image) / "large").stat().st_size == LARGE_BYTES
        assert spoiled.count("/manifests/") > 0


# --- when a registry is asked


async def test_an_image_that_many_wait_for_is_pulled_once(behind: ImageSetup, spoiled: Spoiled, large: str) -> None:
    name = f"{spoiled.host}/{large}"
    images = await asyncio.gather(*(behind.pull(name) for _ in range(8)))
    assert len(set(images)) == 1
    assert spoiled.count("/blobs/") == 3
    assert [line for line in behind.news if line.startswith("pulling")] == [
        f"pulling image {name}: 2 layers, {5.0:.1f} MB"
    ] * 8


async def test_who_gives_up_does_not_stop_the_others(behind: ImageSetup, spoiled: Spoiled, large: str) -> None:
    name = f"{spoiled.host}/{large}"
    impatient = asyncio.create_task(behind.pull(name), name="impatient")
    patient = asyncio.create_task(behind.pull(name), name="patient")
    while not spoiled.seen:
        await asyncio.wait((impatient,), timeout=0.01)
    impatient.cancel()
    assert (await patient).name == name
    assert impatient.cancelled()


async def test_a_pull_that_nobody_waits_for_is_stopped(behind: ImageSetup, spoiled: Spoiled, large: str) -> None:
    released = threading.Event()
    spoiled.spoil = lambda request: waits(released, request) if "/blobs/" in request.path else None
    pull = asyncio.create_task(behind.pull(f"{spoiled.host}/{large}"), name="pull")
    while not spoiled.count("/blobs/"):
        await asyncio.wait((pull,), timeout=0.01)
    pull.cancel()
    await asyncio.wait((pull,))
    assert behind.left_over() == []
    released.set()


async def test_a_tag_is_asked_for_each_time_and_a_digest_never_again(
    behind: ImageSetup, spoiled: Spoiled, registry: Registry, tmp_path: Path
) -> None:
    name = f"{spoiled.host}/registries/moving"
    for number in ("1", "2"):
        layout = Layout(tmp_path / number).image("x", [[file("x", number)]])
        push(layout, "x", f"{registry.host}/registries/moving:now")
        image = await behind.pull(f"{name}:now")
        assert (behind.root(image) / "x").read_text() == number
    await behind.pull(f"{name}@{image.digest}")
    before = len(spoiled.seen)
    assert (await behind.pull(f"{name}@{image.digest}")).chain == image.chain
    assert len(spoiled.seen) == before
    await behind.pull(f"{name}:now")
    assert [request.method for request in spoiled.seen[before:]] == ["HEAD"]


async def test_a_copy_serves_when_the_registry_does_not_answer(
    behind: ImageSetup, spoiled: Spoiled, large: str
) -> None:
    name = f"{spoiled.host}/{large}"
    image = await behind.pull(name)
    for fault in (Fault(502), Fault(429, {"Retry-After": "3600"})):
        behind.news.clear()
        spoiled.spoil = lambda request, fault=fault: fault  # type: ignore[misc]
        assert await behind.pull(name) == image
        assert [line for line in behind.news if "using the copy that is here" in line]


async def test_a_copy_does_not_serve_when_access_was_taken_away(
    behind: ImageSetup, spoiled: Spoiled, large: str
) -> None:
    name = f"{spoiled.host}/{large}"
    await behind.pull(name)
    spoiled.spoil = lambda request: Fault(403)
    with pytest.raises(ImageUnavailable):
        await behind.pull(name)


async def test_layers_that_are_here_are_not_fetched_again(
    behind: ImageSetup, spoiled: Spoiled, registry: Registry, tmp_path: Path
) -> None:
    base = [file("base", os.urandom(1000))]
    for number in ("1", "2"):
        layout = Layout(tmp_path / number).image("x", [base, [file("own", number)]])
        push(layout, "x", f"{registry.host}/registries/shared:{number}")
        await behind.pull(f"{spoiled.host}/registries/shared:{number}")
    assert spoiled.count("/blobs/") == 3 + 2


async def test_a_name_without_a_host_is_of_the_default_registry(tmp_path: Path, registry: Registry) -> None:
    async with open_image_setup(tmp_path / "setup") as setup:
        assert setup.images.full_name("app") == "registry.invalid/app:latest"
