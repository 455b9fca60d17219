"""Which hosts the submodules of a job reach, what its ledger says, and for which repositories a credential is lent."""

import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from danube_pkg.adapters.egress.ledgers import FileLedgers
from danube_pkg.core.egress.ledger import Way
from danube_pkg.kit.clock import SystemClock
from danube_pkg.kit.records import replace
from danube_pkg.services.egress import Egress
from danube_pkg.services.jobs.submodules import JobSubmodules
from tests.fakes.egress import NoProxies
from tests.services.stores import a_job

SECRET = b"correct-horse-battery"


class OneSecret:
    """The values that are masked."""

    async def values_to_mask(self, pipeline: str) -> Sequence[bytes]:
        return [SECRET]

    async def forget_retired(self, before: float) -> None:
        raise AssertionError("nothing is forgotten here")


def submodules(path: Path, *, lent: tuple[str, ...] = (), allowlist: tuple[str, ...] = ()) -> JobSubmodules:
    job = a_job()
    job = replace(job, settings=replace(job.settings, submodules=lent, egress_allowlist=allowlist))
    return JobSubmodules(job, Egress(NoProxies(), FileLedgers(path), OneSecret()), SystemClock())


def ledger(path: Path) -> list[tuple[str, int, str, str, str]]:
    contacts = FileLedgers(path).read(a_job().id)
    assert {contact.way for contact in contacts} == {Way.SOURCE}
    return [(one.host, one.port, str(one.verdict), str(one.reason), one.address) for one in contacts]


async def test_hosts_are_those_of_the_configuration_and_of_the_allowlist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = {"listed.test": "8.8.8.8", "inner.test": "10.1.2.3"}
    looked_up: list[str] = []

    def look_up(host: str, *rest: object, **options: object) -> list[object]:
        looked_up.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (addresses[host], 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    guard = submodules(tmp_path, allowlist=("listed.test", "inner.test"))
    assert await guard.allowed_addresses("forge.test", 443, configured=True) == ()
    assert await guard.allowed_addresses("listed.test", 443, configured=False) == ["8.8.8.8"]
    for host, port in (("other.test", 443), ("listed.test", 22), ("inner.test", 443), ("169.254.169.254", 80)):
        assert await guard.allowed_addresses(host, port, configured=False) is None, host
    assert looked_up == ["listed.test", "inner.test"]
    assert ledger(tmp_path) == [
        ("forge.test", 443, "allowed", "configured", ""),
        ("listed.test", 443, "allowed", "listed", "8.8.8.8"),
        ("other.test", 443, "refused", "not-listed", ""),
        ("listed.test", 22, "refused", "port-not-listed", ""),
        ("inner.test", 443, "refused", "private-address", "10.1.2.3"),
        ("169.254.169.254", 80, "refused", "metadata-address", ""),
    ]


async def test_names_are_masked_and_odd_ones_are_refused(tmp_path: Path) -> None:
    guard = submodules(tmp_path)
    assert await guard.allowed_addresses(f"{SECRET.decode()}.evil.test", 443, configured=False) is None
    assert await guard.allowed_addresses("2130706433", 443, configured=False) is None
    assert [host for host, *_ in ledger(tmp_path)] == ["***.evil.test"]


def test_credentials_are_lent_by_pattern(tmp_path: Path) -> None:
    guard = submodules(tmp_path, lent=("forge.test/org/lib*",))
    assert guard.lends("https://forge.test/org/library.git")
    assert guard.lends("git@forge.test:org/lib")
    assert not guard.lends("https://forge.test/other/library.git")
