"""Fetches with the host's `git`, where `danube.toml` opts in: faster with large histories, into the same mirrors.

Its configuration is made for each call and kept in memory. A token is in that configuration, never in an argument or an
environment variable.
"""

import base64
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from danube_pkg.adapters.git.limits import DEEPENING, NETWORK_TIMEOUT_SECONDS
from danube_pkg.adapters.git.remote import RemoteSettings
from danube_pkg.adapters.git.ssh import as_environment, ssh_command
from danube_pkg.adapters.git.transports import redirected, translated
from danube_pkg.core.errors import HostLacks
from danube_pkg.core.repositories.urls import as_url

TIMEOUT_SECONDS = 900.0

NOT_FOUND = 127
"""The exit code of env(1) for a program that is not installed."""


def fetch(url: str, sha: str, directory: Path, remote: RemoteSettings, depth: int = 1) -> None:
    """Fetch that commit into the mirror, with so much of its history. Raises Permanent, Unavailable, HostLacks."""
    with ssh_command(remote) as ssh:
        descriptor = os.memfd_create("git-config", os.MFD_CLOEXEC)
        try:
            os.fchmod(descriptor, 0o600)
            os.write(descriptor, _config(url, remote).encode())
            environment = {
                "GIT_CONFIG_GLOBAL": f"/proc/{os.getpid()}/fd/{descriptor}",
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_TERMINAL_PROMPT": "0",
                "GIT_SSH_COMMAND": as_environment(ssh),
                "GIT_SSH_VARIANT": "ssh",
            }
            problem = _run(url, f"{sha}:refs/danube/{sha}", depth, directory, environment, remote)
            if "not our ref" in problem or "unadvertised" in problem:
                for depth in DEEPENING:
                    problem = _run(url, "+refs/heads/*:refs/danube/heads/*", depth, directory, environment, remote)
                    if problem or _has(sha, directory):
                        break
            if remote.one_host and "returned error: 30" in problem:  # 301, 302, 307, 308
                raise redirected(url, "")
            if problem:
                raise translated(url, remote, OSError(problem))
        finally:
            os.close(descriptor)


def _run(
    url: str, refspec: str, depth: int, directory: Path, environment: Mapping[str, str], remote: RemoteSettings
) -> str:
    """git's error message; "" for success."""
    variables = [f"{name}={value}" for name, value in environment.items()]
    arguments = [
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
            [*arguments, "--no-recurse-submodules", "--no-write-fetch-head", "--", url, refspec],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise translated(url, remote, TimeoutError(f"git took longer than {TIMEOUT_SECONDS:g} s")) from error
    if done.returncode == NOT_FOUND:
        raise HostLacks(
            "git-missing",
            'danube.toml says sources.git = "host", and this machine has no git',
            hint='apt-get install git, or write git = "dulwich"',
        )
    message = done.stderr.decode("utf-8", "replace").strip() or f"exit code {done.returncode}"
    return message if done.returncode else ""


def _has(sha: str, directory: Path) -> bool:
    arguments = ["git", "-c", "safe.directory=*", "-C", str(directory), "cat-file", "-e", sha]
    return subprocess.run(arguments, capture_output=True, check=False).returncode == 0


def _config(url: str, remote: RemoteSettings) -> str:
    """git's configuration. A token is sent to this host only, also when the host redirects elsewhere; git cannot be
    made to follow redirects within a host alone."""
    lines = ["[credential]", "\thelper =", "[safe]", "\tdirectory = *", "[protocol]", "\tallow = never"]
    for scheme in ("http", "https", "ssh", "git"):
        lines += [f'[protocol "{scheme}"]', "\tallow = always"]
    lines += ["[http]", "\tlowSpeedLimit = 1", f"\tlowSpeedTime = {NETWORK_TIMEOUT_SECONDS:.0f}"]
    if remote.one_host or remote.credential.password:
        lines.append("\tfollowRedirects = false")
    if remote.credential.password:
        parts = urlsplit(as_url(url))
        login = f"{remote.credential.username}:{remote.credential.password}".encode()
        host = parts.netloc.rpartition("@")[2]
        lines.append(f'[http "{parts.scheme}://{host}/"]')
        lines.append(f'\textraHeader = "Authorization: Basic {base64.b64encode(login).decode()}"')
    return "\n".join(lines) + "\n"
