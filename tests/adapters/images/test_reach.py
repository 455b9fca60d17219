"""Which servers a pull contacts for a job, at each hop, and what its ledger and its messages say of them."""

import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.adapters.egress.ledgers import FileLedgers
from danube_pkg.core.egress.host_masks import NO_MASKS
from danube_pkg.core.egress.ledger import Contact, Way, needed_allowlist
from danube_pkg.core.egress.policy import Policy
from danube_pkg.core.egress.server_contacts import ServerReach
from danube_pkg.core.errors import StorageFull
from danube_pkg.core.images.ports import ImageRequester
from danube_pkg.core.images.registries import RegistrySpec
from danube_pkg.core.runtimes.pods import Network
from danube_pkg.kit.clock import SystemClock
from danube_pkg.services.images.contacts import PullContacts, PullLedger
from tests.adapters.images.setup import ImageSetup, open_image_setup, refusal
from tests.support.image_layouts import Layout, file, push
from tests.support.ports import free_port
from tests.support.registry import Registry
from tests.support.scripted_http import ReceivedRequest, ScriptedServer, http_response, scripted_http


@pytest_asyncio.fixture
async def inside() -> AsyncIterator[ScriptedServer]:
    """A server of the internal network that no configuration names."""
    async with scripted_http(lambda request: http_response(200, b"internal")) as server:
        yield server


def job(*allowlist: str, network: Network = Network.ALLOWLIST) -> ImageRequester:
    return ImageRequester("job", network, allowlist)


def decisions(contacts: Sequence[Contact]) -> list[tuple[str, int, str, str, str]]:
    return [(one.host, one.port, str(one.verdict), str(one.reason), one.address) for one in contacts]


def port_of(server: ScriptedServer) -> int:
    return int(server.host.partition(":")[2])


async def message_of(directory: Path, name: str, requester: ImageRequester, **hosts: str) -> tuple[str, ImageSetup]:
    async with open_image_setup(directory, requester=requester, hosts=hosts) as setup:
        return await refusal(setup, name), setup


async def test_a_registry_that_is_not_listed_is_neither_contacted_nor_looked_up(
    tmp_path: Path, inside: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[str] = []

    def look_up(host: str, *rest: object, **options: object) -> list[object]:
        looked_up.append(host)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    port = port_of(inside)
    for number, host in enumerate((f"127.0.0.1:{port}", f"localhost:{port}", "169.254.169.254", "exfil.invalid")):
        message, setup = await message_of(tmp_path / str(number), f"{host}/a/b:c", job())
        assert f"registry {host} is not allowed for this job" in message
        assert f"registries: [{{host: {host}}}]" in message
        (contact,) = setup.contacts("job")
        assert (contact.way, str(contact.verdict)) == (Way.IMAGE, "refused")
    assert looked_up == []
    assert inside.requests == []


async def test_a_message_does_not_distinguish_a_closed_port_from_an_address_that_is_not_allowed(
    tmp_path: Path, inside: ScriptedServer
) -> None:
    """Not even where the allowlist names the host, or any host."""
    closed = free_port()
    cases = {
        "open, not allowed": (f"inner.test:{port_of(inside)}", job(f"inner.test:{port_of(inside)}")),
        "closed, not allowed": (f"inner.test:{closed}", job(f"inner.test:{closed}")),
        "closed, allowed": (f"inner.test:{closed}", job(f"inner.test:{closed}", f"127.0.0.1:{closed}")),
        "without an address": (f"none.invalid:{closed}", job(f"*:{closed}")),
    }
    found = {}
    for number, (case, (host, requester)) in enumerate(cases.items()):
        name, hosts = f"{host}/a/b:c", {"inner.test": "127.0.0.1"}
        message, _ = await message_of(tmp_path / str(number), name, requester, **hosts)
        found[case] = message.replace(host, "HOST")
    assert len(set(found.values())) == 1, found
    assert inside.requests == []


async def test_a_listed_registry_is_contacted_at_an_address_that_is_listed(
    tmp_path: Path, inside: ScriptedServer
) -> None:
    port = port_of(inside)
    requester = job(f"inner.test:{port}", f"127.0.0.1:{port}")
    message, setup = await message_of(tmp_path, f"inner.test:{port}/a:b", requester, **{"inner.test": "127.0.0.1"})
    assert "does not speak TLS" in message
    assert decisions(setup.contacts("job")) == [("inner.test", port, "allowed", "listed", "127.0.0.1")]


async def test_a_configured_registry_is_in_the_ledger_of_each_job(tmp_path: Path, registry: Registry) -> None:
    layout = Layout(tmp_path / "layout")
    layout.image("1", [[file("small", "x")]])
    push(layout, "1", f"{registry.host}/reach/app:1")
    async with open_image_setup(tmp_path / "setup", RegistrySpec(registry.host, insecure=True)) as setup:
        await setup.pull(f"{registry.host}/reach/app:1")
        await setup.images.ensure(f"{registry.host}/reach/app:1", print, ImageRequester("two", Network.NONE, ()))
    port = int(registry.host.partition(":")[2])
    wanted = [("127.0.0.1", port, "allowed", "configured", "127.0.0.1")]
    assert decisions(setup.contacts("job")) == decisions(setup.contacts("two")) == wanted
    assert needed_allowlist(setup.contacts("job")) == []


@pytest.mark.parametrize("way", ["redirect", "realm"])
async def test_a_configured_registry_cannot_send_the_server_into_its_network(
    tmp_path: Path, inside: ScriptedServer, way: str
) -> None:
    inner = f"http://localhost:{port_of(inside)}/secret"

    def respond(request: ReceivedRequest) -> bytes:
        if way == "redirect":
            return http_response(307, b"", ("Location", inner))
        return http_response(401, b"", ("WWW-Authenticate", f'Bearer realm="{inner}",service="s"'))

    async with (
        scripted_http(respond) as outer,
        open_image_setup(tmp_path, RegistrySpec(outer.host, insecure=True)) as setup,
    ):
        message = await refusal(setup, f"{outer.host}/a:b")
    assert f"the registry refers to localhost:{port_of(inside)}, which is not allowed" in message
    assert inside.requests == []
    assert [one.reason for one in setup.contacts("job")] == ["configured", "loopback-address"]


@pytest.mark.parametrize("way", ["redirect", "realm"])
async def test_a_registry_that_refers_to_what_is_not_a_url_is_refused(tmp_path: Path, way: str) -> None:
    def respond(request: ReceivedRequest) -> bytes:
        if way == "redirect":
            return http_response(307, b"", ("Location", "http://[zz]/"))
        return http_response(401, b"", ("WWW-Authenticate", 'Bearer realm="http://[zz]/",service="s"'))

    async with (
        scripted_http(respond) as outer,
        open_image_setup(tmp_path, RegistrySpec(outer.host, insecure=True)) as setup,
    ):
        message = await refusal(setup, f"{outer.host}/a:b")
    assert "not a URL" in message if way == "redirect" else "without a usable address" in message


def test_a_learned_registry_is_part_of_the_list_that_a_run_needs(tmp_path: Path) -> None:
    """By the rules alone: nothing is contacted."""
    contacts = PullContacts(ServerReach((), Policy((), learn=True)), SystemClock())
    ledgers = FileLedgers(tmp_path)
    contacts.join(PullLedger("job", ledgers, NO_MASKS))
    assert contacts.allows_target("outer.test", 8443, proxied=False)
    assert contacts.allowed_addresses("outer.test", 8443, ["10.1.2.3", "127.0.0.1"]) == ["10.1.2.3"]
    assert not contacts.allows_target("169.254.169.254", 80, proxied=False)
    assert [str(one.reason) for one in ledgers.read("job")] == ["learned", "metadata-address"]
    assert needed_allowlist(ledgers.read("job")) == ["outer.test:8443", "10.1.2.3:8443"]


async def test_what_cannot_be_recorded_is_not_contacted(
    tmp_path: Path, inside: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(ledgers: object, job_id: str, contact: Contact) -> None:
        raise StorageFull("ledger-full", "the ledger is full")

    monkeypatch.setattr(FileLedgers, "append", full)
    async with open_image_setup(tmp_path, RegistrySpec(inside.host, insecure=True)) as setup:
        await refusal(setup, f"{inside.host}/a:b")
    assert inside.requests == []
