"""Common build tools against real servers on the loopback, with nothing configured for the proxy.

Each is configured with the server's URL and with the test's certificate authority, which is not a public one.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from danube_pkg.core.egress.policy import EgressReason, Verdict
from danube_pkg.core.runtimes.pods import Container
from tests.adapters.egress.certificates import Authority, make_authority
from tests.adapters.egress.proxies import NAMES
from tests.adapters.runtimes.sandbox.egress_pods import EgressPods, open_egress_pods
from tests.adapters.runtimes.sandbox.origins import Origin, serving
from tests.adapters.runtimes.sandbox.packages import (
    GO_MODULE,
    NAME,
    crates,
    debian_archive,
    go_proxy,
    node_registry,
    python_index,
)

TRUST = "/workspace/authority.pem"


def toolchain() -> Path | None:
    """Rust's toolchain in a home directory, where rustup keeps it: the image `host` has it only as an extra path."""
    if shutil.which("rustc") is None or shutil.which("cargo", path="/usr/bin:/bin"):
        return None
    printed = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=False)
    found = Path(printed.stdout.strip())
    return found if printed.returncode == 0 and os.access(found / "bin" / "cargo", os.X_OK) else None


RUST = toolchain()
COMMANDS = {
    "curl": f"curl -sS --cacert {TRUST} $URL/hello",
    "wget": f"wget -q --ca-certificate={TRUST} -O - $URL/hello",
    "git": f"GIT_SSL_CAINFO={TRUST} git clone -q --depth 1 $URL/git/app.git app && cat app/hello",
    "pip": (
        f"PIP_CONFIG_FILE=/dev/null python3 -m pip install -q --no-input --disable-pip-version-check --no-cache-dir"
        f" --root-user-action=ignore --cert {TRUST} --index-url $URL/simple/ --target lib {NAME}"
        f" && PYTHONPATH=lib python3 -c 'import {NAME.replace('-', '_')}'"
    ),
    "npm": (
        f"export npm_config_cafile={TRUST}; npm install --silent --no-audit --no-fund --cache ./cache --registry $URL {NAME}"
        f" > npm.log 2>&1 || cat npm.log; node -e 'require(\"{NAME}\")'"
    ),
    "apt-get": (
        "mkdir -p apt/lists/partial apt/archives/partial apt/apt.conf.d apt/preferences.d && touch apt/status"
        " && echo \"deb [trusted=yes] $URL/debian ./\" > apt/sources.list"
        " && printf '%s\\n' 'Dir::Etc \"/workspace/apt\";' 'Dir::State \"/workspace/apt\";' 'Dir::Cache \"/workspace/apt\";'"
        " 'Dir::State::status \"/workspace/apt/status\";' 'Dir::Log \"/workspace/apt\";' 'APT::Sandbox::User \"root\";' 'Acquire::Retries \"0\";'"
        f" 'Acquire::https::CAInfo \"{TRUST}\";' > apt.conf"
        f" && export APT_CONFIG=/workspace/apt.conf && apt-get -qq update && apt-get -qq download {NAME}"
        f" && dpkg-deb --fsys-tarfile {NAME}_1.0_all.deb | tar -xOf - ./usr/share/danube-demo"
    ),
    "go": (
        f"export SSL_CERT_FILE={TRUST} GOPROXY=$URL/go GOSUMDB=off GOFLAGS=-mod=mod GOCACHE=/workspace/cache GOPATH=/workspace/go;"
        f" mkdir app && cd app && go mod init app 2> /dev/null && printf 'package main\\nimport \"{GO_MODULE}\"\\nfunc main()"
        " { demo.Hello() }\\n' > main.go && go run . 2> log || cat log"
    ),
    "cargo": (
        "mkdir -p app/src .cargo && echo 'fn main() { danube_demo::hello() }' > app/src/main.rs"
        f" && printf '[package]\\nname=\"app\"\\nversion=\"1.0.0\"\\n[dependencies]\\n{NAME}=\"1\"\\n' > app/Cargo.toml"
        " && printf '[source.crates-io]\\nreplace-with=\"demo\"\\n[source.demo]\\nregistry=\"sparse+%s/index/\"\\n' $URL"
        f" > .cargo/config.toml && export PATH=$PATH:{RUST or '/usr'}/bin CARGO_HOME=/workspace/cargo CARGO_HTTP_CAINFO={TRUST} CARGO_NET_RETRY=0"
        " && cd app && cargo run -q"
    ),
}  # fmt: skip
PRINTED = {
    "curl": "hello\n",
    "wget": "hello\n",
    "git": "hello\n",
    "pip": "from the wheel\n",
    "npm": "from the registry\n",
    "apt-get": "from the archive\n",
    "go": "from the module\n",
    "cargo": "from the crate\n",
}
IMPATIENT = "PIP_RETRIES=0 npm_config_fetch_retries=0"
"""No retries, for requests that are refused each time."""

ALWAYS = ("curl", "git")
"""These are among the packages that the tests need; the others are tested where the image `host` has them."""

INSTALLED = sorted(
    {
        *ALWAYS,
        *(name for name in COMMANDS if shutil.which(name, path=f"{sys.base_prefix}/bin:/usr/bin:/bin")),
        *(("cargo",) if RUST else ()),
    }
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"), *NAMES, "127.0.0.1")


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def out(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> AsyncIterator[EgressPods]:
    """One proxy; each test has a pod of its own."""
    async with open_egress_pods(tmp_path_factory.mktemp("out"), authority, [RUST] if RUST else []) as made:
        yield made


def make_repository(directory: Path) -> None:
    """`app.git` with one file, created by Git itself."""
    work = directory / "work"
    script = (
        f"git init -q -b main {work} && cd {work} && echo hello > hello && git add hello"
        " && git -c user.name=t -c user.email=t@example.org commit -q -m hello"
        f" && git clone -q --bare {work} {directory}/app.git"
    )
    environment = {"PATH": os.defpath, "HOME": str(directory), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["/bin/sh", "-c", script], check=True, env=environment)


PATIENT = ("pip", "npm", "cargo", "go")
"""Clients that start an interpreter or try again, for more than a second of processor time."""


def fill(files: dict[str, bytes], url: str) -> None:
    """Everything that the clients request."""
    files |= {
        "/hello": b"hello\n",
        **python_index(),
        **node_registry(url),
        **debian_archive(),
        **go_proxy(),
        **crates(url),
    }


async def worker_for(out: EgressPods, authority: Authority, origin: Origin) -> Container:
    """A worker that may reach the server by one name, and has the certificate of its authority."""
    entries = (f"files.test:{origin.server_port}", f"127.0.0.1:{origin.server_port}")
    worker = await out.worker(*entries)
    await out.pods.shell(worker, f"cat > {TRUST}", authority.authority.read_bytes())
    return worker


@pytest.mark.parametrize("client", INSTALLED)
async def test_a_client_works_over_tls_without_configuration(
    out: EgressPods, authority: Authority, tmp_path: Path, client: str
) -> None:
    make_repository(tmp_path)
    files: dict[str, bytes] = {}
    with serving(files, tmp_path, authority.server_context()) as origin:
        url = f"https://files.test:{origin.server_port}"
        fill(files, url)
        worker = await worker_for(out, authority, origin)
        assert await out.shell(worker, f"export URL={url}; {COMMANDS[client]}") == (0, PRINTED[client])
    contacts = [contact for contact in out.ledger(worker) if contact.host == "files.test"]
    assert contacts
    assert {(one.verdict, one.port, one.way) for one in contacts} == {(Verdict.ALLOWED, origin.server_port, "connect")}


@pytest.mark.parametrize("client", [name for name in INSTALLED if name in ("curl", "wget", "apt-get", "git")])
async def test_a_client_works_over_plain_http_without_configuration(
    out: EgressPods, authority: Authority, tmp_path: Path, client: str
) -> None:
    make_repository(tmp_path)
    files: dict[str, bytes] = {}
    with serving(files, tmp_path, None) as origin:
        url = f"http://files.test:{origin.server_port}"
        fill(files, url)
        worker = await worker_for(out, authority, origin)
        assert await out.shell(worker, f"export URL={url}; {COMMANDS[client]}") == (0, PRINTED[client])
    assert {(one.verdict, one.way) for one in out.ledger(worker)} == {(Verdict.ALLOWED, "http")}


@pytest.mark.parametrize(
    "client", [pytest.param(one, marks=pytest.mark.long if one in PATIENT else ()) for one in INSTALLED]
)
async def test_a_host_that_is_not_listed_is_refused_and_recorded(
    out: EgressPods, authority: Authority, tmp_path: Path, client: str
) -> None:
    with serving({}, tmp_path, authority.server_context()) as origin:
        worker = await worker_for(out, authority, origin)
        url = f"https://evil.test:{origin.server_port}"
        await out.shell(worker, f"export URL={url} {IMPATIENT}; {COMMANDS[client]}")
    refused = [contact for contact in out.ledger(worker) if contact.host == "evil.test"]
    assert {(one.verdict, one.reason) for one in refused} == {(Verdict.REFUSED, EgressReason.NOT_LISTED)}
