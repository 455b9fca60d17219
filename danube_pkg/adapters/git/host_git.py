"""Fetching by the host's `git`, where `danube.toml` opts in: faster with large histories, the same mirror, the same rules.

Its configuration is made for this one call and lies in memory; a token stands in there and in no argument or variable.
"""

import base64
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from danube_pkg.adapters.git.access import GitAccess
from danube_pkg.adapters.git.limits import DEEPENING, NETWORK_TIMEOUT_SECONDS
from danube_pkg.adapters.git.ssh import as_environment, ssh_command
from danube_pkg.adapters.git.transports import translated
from danube_pkg.core.errors import HostLacks
from danube_pkg.core.repositories.urls import as_url

TIMEOUT_SECONDS = 900.0

NOT_FOUND = 127
"""What env(1) ends with where there is no such program."""


def fetch(url: str, sha: str, directory: Path, access: GitAccess) -> None:
    """That commit into the mirror. Raises Permanent, Unavailable, HostLacks."""
    with ssh_command(access) as ssh:
        descriptor = os.memfd_create("git-config", os.MFD_CLOEXEC)
        try:
            os.fchmod(descriptor, 0o600)
            os.write(descriptor, _config(url, access).encode())
            environment = {
                "GIT_CONFIG_GLOBAL": f"/proc/{os.getpid()}/fd/{descriptor}",
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_TERMINAL_PROMPT": "0",
                "GIT_SSH_COMMAND": as_environment(ssh),
                "GIT_SSH_VARIANT": "ssh",
            }
            answer = _run(url, f"{sha}:refs/danube/{sha}", 1, directory, environment, access)
            if "not our ref" in answer or "unadvertised" in answer:
                for depth in DEEPENING:
                    answer = _run(url, "+refs/heads/*:refs/danube/heads/*", depth, directory, environment, access)
                    if answer or _has(sha, directory):
                        break
            if answer:
                raise translated(url, access, OSError(answer))
        finally:
            os.close(descriptor)


def _run(url: str, refspec: str, depth: int, directory: Path, environment: Mapping[str, str], access: GitAccess) -> str:
    """What git complains of; "" when it did it."""
    variables = [f"{name}={value}" for name, value in environment.items()]
    words = [
        "env",
        *variables,
        "git",
        "-C",
        str(directory),
        "fetch",
        "--quiet",
        f"--depth={depth}",
        "--no-tags",
        "--no-auto-gc",
    ]
    try:
        done = subprocess.run(
            [*words, "--no-recurse-submodules", "--no-write-fetch-head", "--", url, refspec],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise translated(url, access, TimeoutError(f"git took longer than {TIMEOUT_SECONDS:g} s")) from error
    if done.returncode == NOT_FOUND:
        raise HostLacks(
            "git-missing",
            'danube.toml says sources.git = "host", and this machine has no git',
            hint='apt-get install git, or write git = "dulwich"',
        )
    complaint = done.stderr.decode("utf-8", "replace").strip() or f"exit code {done.returncode}"
    return complaint if done.returncode else ""


def _has(sha: str, directory: Path) -> bool:
    words = ["git", "-c", "safe.directory=*", "-C", str(directory), "cat-file", "-e", sha]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def _config(url: str, access: GitAccess) -> str:
    """A token is sent to this host only, also when that redirects elsewhere."""
    lines = ["[credential]", "\thelper =", "[safe]", "\tdirectory = *", "[protocol]", "\tallow = never"]
    for scheme in ("http", "https", "ssh", "git"):
        lines += [f'[protocol "{scheme}"]', "\tallow = always"]
    lines += ["[http]", "\tlowSpeedLimit = 1", f"\tlowSpeedTime = {NETWORK_TIMEOUT_SECONDS:.0f}"]
    if access.credential.password:
        parts = urlsplit(as_url(url))
        login = f"{access.credential.username}:{access.credential.password}".encode()
        host = parts.netloc.rpartition("@")[2]
        lines += ["\tfollowRedirects = false", f'[http "{parts.scheme}://{host}/"]']
        lines.append(f'\textraHeader = "Authorization: Basic {base64.b64encode(login).decode()}"')
    return "\n".join(lines) + "\n"
