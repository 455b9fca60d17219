"""The authority for coordinators: renewal and succession without breaking pods that run."""

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from danube_pkg.adapters.keys.authority import AUTHORITY_LIFE, OVERLAP, CoordinatorAuthority
from danube_pkg.core.errors import Permanent
from danube_pkg.core.runtimes.connection import COORDINATOR_NAME, CoordinatorConnection
from tests.support.moved_clock import MovedClock

START = 1_800_000_000.0
DAY = 86_400.0
LONGEST_JOB_DAYS = 7


def proves_itself(path: Path, bundle: str, at: float) -> bool:
    """Whether a client that trusts `bundle` accepts the certificate at that time."""
    certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
    trusted = Store(x509.load_pem_x509_certificates(bundle.encode()))
    moment = datetime.datetime.fromtimestamp(at, datetime.UTC)
    verifier = PolicyBuilder().store(trusted).time(moment).build_server_verifier(x509.DNSName(COORDINATOR_NAME))
    try:
        verifier.verify(certificate, [])
    except VerificationError:
        return False
    return True


def test_a_restarted_server_is_known_to_pods_of_the_one_before(tmp_path: Path) -> None:
    clock = MovedClock(START)
    bundle = CoordinatorAuthority(tmp_path, clock).bundle
    again = CoordinatorAuthority(tmp_path, clock)
    assert again.bundle == bundle
    assert proves_itself(again.renewed().path, bundle, START)
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "coordinator.pem").stat().st_mode & 0o777 == 0o600


def test_no_running_job_meets_a_certificate_that_it_does_not_trust(tmp_path: Path) -> None:
    """A server that runs for eleven years: pods that are up to a week old accept its certificate, whenever they
    connect."""
    clock = MovedClock(START)
    authority = CoordinatorAuthority(tmp_path, clock)
    first, pods = authority.bundle, [authority.bundle]
    for day in range(0, AUTHORITY_LIFE.days + 400, LONGEST_JOB_DAYS):
        clock.move_to(START + day * DAY)
        pods = [*pods, authority.bundle][-2:]
        path = authority.renewed().path
        for bundle in set(pods):
            assert proves_itself(path, bundle, clock.now()), day
    assert len(x509.load_pem_x509_certificates((tmp_path / "ca.pem").read_bytes())) == 1
    assert pods[-1] != first


def test_pods_trust_the_successor_long_before_it_signs(tmp_path: Path) -> None:
    clock = MovedClock(START)
    authority = CoordinatorAuthority(tmp_path, clock)
    first = authority.bundle
    clock.move_to(START + (AUTHORITY_LIFE - OVERLAP).days * DAY + DAY)
    assert authority.bundle.startswith(first)
    assert authority.bundle.count("BEGIN CERTIFICATE") == 2
    assert proves_itself(authority.renewed().path, first, clock.now())
    assert CoordinatorAuthority(tmp_path, clock).bundle == authority.bundle


def test_another_server_is_not_accepted(tmp_path: Path) -> None:
    clock = MovedClock(START)
    bundle = CoordinatorAuthority(tmp_path / "one", clock).bundle
    assert not proves_itself(CoordinatorAuthority(tmp_path / "two", clock).renewed().path, bundle, START)


@pytest.mark.parametrize("damage", ["missing", "readable", "another", "text"])
def test_a_key_that_does_not_fit_is_refused(tmp_path: Path, damage: str) -> None:
    clock = MovedClock(START)
    assert CoordinatorAuthority(tmp_path, clock).bundle
    key = tmp_path / "ca.key"
    match damage:
        case "missing":
            key.unlink()
        case "readable":
            key.chmod(0o644)
        case "another":
            assert CoordinatorAuthority(tmp_path / "other", clock).bundle
            key.write_bytes((tmp_path / "other" / "ca.key").read_bytes())
        case "text":
            key.write_text("no key\n-----END PRIVATE KEY-----\n")
    with pytest.raises(Permanent) as raised:
        CoordinatorAuthority(tmp_path, clock)
    assert "ca.key" in raised.value.what
    assert raised.value.hint


def test_a_connection_shows_no_token() -> None:
    connection = CoordinatorConnection("10.0.0.1:9090", "pem")
    assert connection.files("secret") == {"server": "10.0.0.1:9090", "ca.pem": "pem", "token": "secret"}
    assert "secret" not in repr(connection)
