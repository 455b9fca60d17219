"""ssh for Git, with the host's `ssh`: host keys are always checked, only the given key is offered, no prompts.

A key that is a secret is kept in memory only: ssh reads it from an anonymous file that this process holds open. The
user's own ssh configuration and agent are not used, so that a rule works in the same way on every machine.
"""

import base64
import hashlib
import os
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dulwich.client import SSHVendor, StrangeHostname, SubprocessWrapper

from danube_pkg.adapters.git.remote import RemoteSettings
from danube_pkg.core.errors import HostLacks, Permanent

CONNECT_TIMEOUT_SECONDS = 20
SCAN_SECONDS = 5
ALIVE_SECONDS = 15
"""The interval of keep-alive messages to a silent server; ssh gives up after three without an answer."""


@contextmanager
def ssh_command(remote: RemoteSettings) -> Iterator[Sequence[str]]:
    """The command without the host; the files that it names exist during the block. Raises Permanent for a bad key."""
    credential = remote.credential
    descriptor = -1
    key = credential.private_key_path
    try:
        if credential.private_key:
            descriptor = os.memfd_create("git-key", os.MFD_CLOEXEC)
            os.fchmod(descriptor, 0o600)
            os.write(descriptor, credential.private_key.strip().encode() + b"\n")
            key = f"/proc/{os.getpid()}/fd/{descriptor}"
        elif key:
            _check_key_file(key, credential.rule)
        yield [
            "ssh",
            "-F",
            "none",
            "-x",
            "-T",
            *_options(remote.known_hosts),
            *(("-i", key) if key else ("-o", "PubkeyAuthentication=no")),
        ]
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _options(known_hosts: Sequence[str]) -> Iterator[str]:
    files = " ".join(f'"{path}"' for path in known_hosts)
    for option in (
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        f"UserKnownHostsFile={files or '/dev/null'}",
        "UpdateHostKeys=no",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "PreferredAuthentications=publickey",
        "ForwardAgent=no",
        "ClearAllForwardings=yes",
        "ControlMaster=no",
        "ControlPath=none",
        f"ConnectTimeout={CONNECT_TIMEOUT_SECONDS}",
        f"ServerAliveInterval={ALIVE_SECONDS}",
        "LogLevel=ERROR",
    ):
        yield "-o"
        yield option


def _check_key_file(path: str, rule: str) -> None:
    try:
        state = Path(path).stat()
    except OSError as error:
        raise Permanent(
            "source-unavailable",
            f"the private key {path} of the rule {rule!r} cannot be read",
            cause=error.strerror or "",
            hint="create the file, or name a secret: private_key_secret",
        ) from error
    if state.st_mode & 0o077:
        raise Permanent(
            "source-unavailable",
            f"the private key {path} of the rule {rule!r} can be read by others (mode {state.st_mode & 0o777:04o})",
            hint=f"chmod 600 {path}",
        )


def host_fingerprints(host: str, port: str) -> Sequence[str]:
    """The keys that a server shows now, as forges list theirs: `ED25519 SHA256:…` (`ssh-keygen -l`). None where it does
    not answer. port: "" for the usual one."""
    words = ["ssh-keyscan", "-T", str(SCAN_SECONDS), *(("-p", port) if port else ()), "--", host]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=2 * SCAN_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = []
    for line in done.stdout.splitlines():
        parts = line.split()
        if len(parts) == 3 and not line.startswith("#"):
            digest = hashlib.sha256(base64.b64decode(parts[2])).digest()
            kind = parts[1].removeprefix("ssh-").partition("-")[0].upper()
            found.append(f"{kind} SHA256:{base64.b64encode(digest).decode().rstrip('=')}")
    return sorted(found)


class HostSsh(SSHVendor):
    """dulwich's hook for ssh: each connection is a process of the host's `ssh`."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)

    def run_command(
        self,
        host: str,
        command: bytes,
        username: str | None = None,
        port: int | None = None,
        password: str | None = None,
        key_filename: str | None = None,
        ssh_command: str | None = None,
        protocol_version: int | None = None,
    ) -> SubprocessWrapper:
        destination = f"{username}@{host}" if username else host
        if destination.startswith("-"):
            raise StrangeHostname(hostname=destination)
        arguments = [*self._command, *(("-p", str(port)) if port else ())]
        if protocol_version is None or protocol_version > 0:
            arguments += ["-o", f"SetEnv=GIT_PROTOCOL=version={protocol_version or 2}"]
        try:
            process = subprocess.Popen(
                [*arguments, "--", destination, command],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except FileNotFoundError as error:
            raise HostLacks(
                "ssh-missing",
                "repositories with ssh URLs need the program ssh, which this machine does not have",
                hint="apt-get install openssh-client",
            ) from error
        return SubprocessWrapper(process)


def as_environment(command: Sequence[str]) -> str:
    """The command in the form of GIT_SSH_COMMAND."""
    return shlex.join(command)
