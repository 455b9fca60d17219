"""Every attempt of a step to bypass its egress rules is refused, and recorded in the ledger of its job."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from danube_pkg.core.egress.client_hello import ACCESS_DENIED
from tests.adapters.runtimes.sandbox.origins import Origin, serving
from tests.core.egress.test_client_hello import in_records, real_hello
from tests.support.ports import free_port
from tests.support.server import Installation

TRIES = """
import errno, os, socket
from urllib.parse import urlsplit

proxy = urlsplit(os.environ["HTTPS_PROXY"])

def connect(target, data=b"", piece=1):
    with socket.create_connection((proxy.hostname, proxy.port), timeout=20) as way:
        way.sendall(f"CONNECT {target} HTTP/1.1\\r\\nHost: {target}\\r\\n\\r\\n".encode())
        answer = way.recv(65536)
        for at in range(0, len(data), piece):
            way.sendall(data[at : at + piece])
        return int(answer.split()[1]), way.recv(99) if data else b""

def past(family, kind, place, protocol=0):
    try:
        with socket.socket(family, kind, protocol) as one:
            one.sendto(b"x", place) if kind != socket.SOCK_STREAM else one.connect(place)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "let out"

def look_up(name):
    try:
        return socket.getaddrinfo(name, 443)
    except socket.gaierror:
        return "no"
"""

STEPS = """
    from danube import pipeline, step

    def tries(program):
        step.run("cat > t.py <<'END'\\n" + TRIES + program + "\\nEND\\npython3 t.py", name=program[:40])

    TRIES = open("tries.py").read()

    @pipeline(name="ways")
    def build():
        step.run("curl -sS http://files.test:PORT/hello", name="allowed")
        tries("print([connect(target)[0] for target in TARGETS])")
        tries("print([connect('files.test:PORT', bytes.fromhex(hello), piece) for hello in HELLOS for piece in (1, 9999)])")
        tries("print(look_up('asked-by-dns.test'))")
        tries("print(past(socket.AF_INET, socket.SOCK_STREAM, ('192.0.2.1', 443)))")
        tries("print(past(socket.AF_INET, socket.SOCK_DGRAM, ('192.0.2.1', 53)))")
        tries("print(past(socket.AF_INET6, socket.SOCK_STREAM, ('2606:4700::1111', 443)))")
        tries("print(past(socket.AF_INET, socket.SOCK_RAW, ('192.0.2.1', 0), socket.IPPROTO_ICMP))")
"""


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    with serving({"/hello": b"hello\n"}, tmp_path, None) as served:
        yield served


@pytest.mark.long
def test_every_attempt_to_bypass_egress_rules_is_refused_and_recorded(danube: Installation, origin: Origin) -> None:
    port = origin.server_port
    own = free_port()
    settings = (danube.path / "danube.toml").read_text().replace("127.0.0.1:0", f"127.0.0.1:{own}")
    settings += '\n[egress]\nhosts = {"files.test" = "127.0.0.1", "inwards.test" = "10.9.8.7"}\n'
    (danube.path / "danube.toml").write_text(settings)
    refused = {
        "evil.test:443": "not-listed",
        "files.test:1": "port-not-listed",
        "8.8.8.8:443": "address-not-listed",
        "inwards.test:443": "private-address",
        "[2606:4700::1111]:443": "address-not-listed",
        "169.254.169.254:80": "metadata-address",
        f"127.0.0.1:{own}": "loopback-address",
        f"[::1]:{own}": "loopback-address",
    }
    hellos = [hello.hex() for hello in (real_hello("evil.test"), in_records(real_hello("evil.test"), 9))]
    steps = STEPS.replace("PORT", str(port)).replace("TARGETS", repr(list(refused))).replace("HELLOS", repr(hellos))
    allowlist = [f"files.test:{port}", f"127.0.0.1:{port}", "inwards.test"]
    danube.pipeline("ways", steps, {"tries.py": TRIES}, egress_allowlist=allowlist)
    danube.serve()
    socket.create_connection(("127.0.0.1", own), 10).close()
    job = danube.trigger("ways")
    assert danube.end_of(job)["status"] == "success", danube.log(job)
    printed = danube.printed(job).splitlines()
    assert printed == [
        "hello",
        str([403] * len(refused)),
        str([(200, ACCESS_DENIED)] * 4),
        "no",
        *["ENETUNREACH"] * 3,
        "EPERM",
    ]

    found = json.loads(danube.command("explain", job, "--egress", "--json").stdout)["contacts"]
    by_step: dict[int | None, list[tuple[str, str]]] = {}
    for one in found:
        by_step.setdefault(one["step"], []).append((one["verdict"], one["reason"]))
    assert by_step[1] == [("allowed", "listed")]
    assert by_step[2] == [("refused", reason) for reason in refused.values()]
    assert by_step[3] == [("refused", "server-name-differs")] * 4
    assert by_step[None] == [("refused", "dns")]
    assert [by_step[number] for number in (5, 6, 7)] == [[("refused", "no-route")]] * 3
    assert by_step[8] == [("refused", "raw-socket")]
    assert "--- step 8: egress refused: steps have no raw sockets, since they would bypass the proxy" in danube.log(job)
