"""A real registry on loopback: Debian's docker-registry, with an account or without."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.image_layouts import run
from tests.support.ports import free_port
from tests.support.waiting import wait_until

READ_ONLY = {"REGISTRY_STORAGE_MAINTENANCE_READONLY": '{"enabled": true}'}

USER, PASSWORD = "robot", "correct horse battery"


@dataclass(frozen=True)
class Registry:
    """host: where it listens. storage: its files."""

    host: str
    storage: Path

    def blob(self, digest: str) -> Path:
        """The file of a blob in the registry's storage."""
        hexadecimal = digest.partition(":")[2]
        return self.storage / "docker/registry/v2/blobs/sha256" / hexadecimal[:2] / hexadecimal / "data"


@contextmanager
def serving(
    directory: Path, *, account: bool = False, token: str = "", port: int = 0, read_only: bool = False
) -> Iterator[Registry]:
    """Runs a registry with its own directory until the block ends. token: its configuration of a token service. port: a
    free one where none is given. read_only: by the variable that docs/maintenance.md names. A directory that exists is
    used again."""
    directory.mkdir(parents=True, exist_ok=True)
    port, storage = port or free_port(), directory / "storage"
    auth = f"auth: {{token: {token}}}\n" if token else ""
    if account:
        (directory / "htpasswd").write_text(run("htpasswd", "-nbB", USER, PASSWORD))
        auth = f"auth: {{htpasswd: {{realm: test, path: {directory}/htpasswd}}}}\n"
    (directory / "config.yml").write_text(
        "version: 0.1\nlog: {level: error}\n"
        f"storage: {{filesystem: {{rootdirectory: {storage}}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n{auth}"
    )
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(directory / "config.yml")],
            stdout=log,
            stderr=log,
            env={"PATH": "/usr/bin", **(READ_ONLY if read_only else {})},
        )
    try:
        wait_until(lambda: answers(port), 20, "the registry to listen")
        yield Registry(f"127.0.0.1:{port}", storage)
    finally:
        process.terminate()
        process.wait(20)


def answers(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0
