"""Limits of the proxy: connections of a pod, lines of a ledger, rights of the process; and names in DNS queries."""

import asyncio
import os
from pathlib import Path

import pytest

from danube_pkg.adapters.egress.ledgers import FileLedgers, LedgerWriter
from danube_pkg.adapters.egress.pod import MAX_CONNECTIONS
from danube_pkg.adapters.runtimes.sandbox.id_ranges import PROXY_USER, has_ids_for_pods
from danube_pkg.core.egress import ledger as ledgers
from danube_pkg.core.egress.denials import note
from danube_pkg.core.egress.ledger import (
    MAX_REPEATS,
    Contact,
    Way,
    by_destination,
)
from danube_pkg.core.egress.policy import EgressReason, Verdict
from danube_pkg.core.errors import StorageFull
from danube_pkg.core.runtimes.pods import INFRASTRUCTURE_OOM_SCORE
from danube_pkg.kit.oom_score import oom_score
from tests.adapters.egress.proxies import (
    SECONDS,
    ProxySetup,
    open_proxies,
    proxy_settings,
    status_of_process,
)
from tests.core.egress.test_dns import question
from tests.support.capabilities import may_lower_oom_score

CONTACT = Contact(1.0, "p-1", Way.CONNECT, 1, "a.example", 443, Verdict.ALLOWED, EgressReason.LISTED)


async def test_the_number_of_connections_is_limited(setup: ProxySetup) -> None:
    pod = await setup.pod()
    held = [await pod.open() for _ in range(MAX_CONNECTIONS)]
    one_more = await pod.send(b"CONNECT files.test:443 HTTP/1.1\r\n\r\n")
    assert one_more.startswith(b"HTTP/1.1 503 ")
    for _, writer in held:
        writer.close()
    async with asyncio.timeout(SECONDS):
        while (await pod.connect("files.test:443")).status == 503:
            continue
    assert setup.ledger(pod)[0].reason is EgressReason.TOO_MANY_CONNECTIONS
    assert setup.ledger(pod)[-1].reason is EgressReason.NOT_LISTED


async def test_repeated_refusals_are_counted_and_the_count_is_recorded(setup: ProxySetup) -> None:
    """A program that keeps trying must not fill the ledger."""
    pod = await setup.pod(step=2)
    for _ in range(MAX_REPEATS + 7):
        (await pod.connect("files.test:443")).close()
    assert (await pod.connect("other.test:443")).status == 403
    assert len(await setup.contacts(pod, MAX_REPEATS + 1)) == MAX_REPEATS + 1
    await setup.proxies.settle(pod.job_id, 2)
    last = (await setup.contacts(pod, MAX_REPEATS + 2))[-1]
    assert (last.host, last.attempts, last.step) == ("files.test", 7, 2)
    (of_files, _) = by_destination(setup.ledger(pod))
    assert of_files.contacts == MAX_REPEATS + 7


async def test_a_supervisors_report_is_a_refusal_of_its_step(setup: ProxySetup) -> None:
    """A step can forge reports: they only add refusals, of which few are recorded one by one."""
    pod = await setup.pod(step=5)
    for attempts in (b"3", b"x", b"9" * 99, *[b"2"] * MAX_REPEATS):
        assert (
            await pod.send(b"REPORT raw-socket HTTP/1.1\r\nHost: danube\r\nAttempts: " + attempts + b"\r\n\r\n") == b""
        )
    await setup.proxies.settle(pod.job_id, 5)
    found = await setup.contacts(pod, MAX_REPEATS + 1)
    assert {(one.way, one.verdict, one.reason, one.step, one.host) for one in found} == {
        (Way.RAW_SOCKET, Verdict.REFUSED, EgressReason.RAW_SOCKET, 5, "")
    }
    assert [one.attempts for one in found] == [3, 1, 1, *[2] * (MAX_REPEATS - 3), 6]
    (one,) = by_destination(found)
    assert (one.contacts, note(one.latest)) == (
        5 + 2 * MAX_REPEATS, "egress refused: steps have no raw sockets, since they would bypass the proxy"
    )  # fmt: skip


async def test_a_dns_query_is_refused_and_its_name_is_recorded_once(setup: ProxySetup) -> None:
    pod = await setup.pod(["files.test"])
    answers: asyncio.Queue[bytes] = asyncio.Queue()

    class Asking(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            answers.put_nowait(data)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Asking, remote_addr=("127.0.0.1", pod.names_port))
    for kind in (1, 28, 1):
        transport.sendto(question("secret-in-a-name.evil.test", kind=kind))
        async with asyncio.timeout(SECONDS):
            assert (await answers.get())[3] & 15 == 5
    transport.sendto(b"no question")
    transport.sendto(question("files.test"))
    async with asyncio.timeout(SECONDS):
        await answers.get()
    transport.close()
    found = await setup.contacts(pod, 2)
    assert [(one.way, one.host, one.reason) for one in found] == [
        (Way.DNS, "secret-in-a-name.evil.test", EgressReason.DNS), (Way.DNS, "files.test", EgressReason.DNS),
    ]  # fmt: skip


async def test_the_process_has_no_rights_and_its_memory_is_private(tmp_path: Path) -> None:
    user = PROXY_USER if has_ids_for_pods() else 0
    async with open_proxies(tmp_path, proxy_settings(tmp_path, user=user)) as setup:
        pod = await setup.pod()
        assert (await pod.connect("files.test:443")).status == 403
        (process,) = setup.processes()
        status = status_of_process(process)
        expected = user or os.geteuid()
        assert status["Uid"].split() == [str(expected)] * 4
        assert status["NoNewPrivs"] == "1"
        assert user == 0 or (int(status["CapEff"], 16), status["Groups"].split()) == (0, [])
        assert os.stat(f"/proc/{process}/environ").st_uid == 0  # not dumpable
        lowered = INFRASTRUCTURE_OOM_SCORE if may_lower_oom_score() else oom_score()
        assert int(Path(f"/proc/{process}/oom_score_adj").read_text()) == lowered
        assert (await setup.contacts(pod))[0].host == "files.test"


def test_a_full_ledger_refuses_what_it_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("danube_pkg.adapters.egress.ledgers.MAX_DECISIONS", 4)
    files = FileLedgers(tmp_path)
    writer = LedgerWriter("j", files.open("j"))
    for _ in range(3):
        writer.record_decision(CONTACT, keep_free=1)
    with pytest.raises(StorageFull):
        writer.record_decision(CONTACT, keep_free=1)
    writer.record_end(CONTACT)
    writer.close()
    again = LedgerWriter("j", files.open("j"))  # another proxy after this one: the limit is for the job
    again.record_decision(CONTACT, keep_free=0)
    with pytest.raises(StorageFull):
        again.record_decision(CONTACT, keep_free=0)
    again.close()
    assert len(files.path("j").read_bytes().splitlines()) == 5


def test_a_truncated_line_is_terminated_before_the_next_one(tmp_path: Path) -> None:
    files = FileLedgers(tmp_path)
    files.path("j").write_bytes(ledgers.encode_decision("j", CONTACT)[:40])
    writer = LedgerWriter("j", files.open("j"))
    writer.record_decision(CONTACT)
    writer.close()
    assert files.read("j") == [CONTACT]
    assert files.read("unknown") == ()


def test_a_failed_write_raises_storage_full(tmp_path: Path) -> None:
    (tmp_path / "j.egress").touch()
    writer = LedgerWriter("j", os.open(tmp_path / "j.egress", os.O_RDONLY))
    with pytest.raises(StorageFull):
        writer.record_decision(CONTACT)
    writer.close()
