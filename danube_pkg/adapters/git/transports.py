"""dulwich's clients for each kind of URL, and the translation of their errors."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from dulwich.client import (
    GitClient,
    HTTPUnauthorized,
    SSHGitClient,
    StrangeHostname,
    Urllib3HttpGitClient,
    get_transport_and_path,
)
from dulwich.errors import GitProtocolError, HangupException, NotGitRepository

from danube_pkg.adapters.git.limits import NETWORK_TIMEOUT_SECONDS
from danube_pkg.adapters.git.remote import REDIRECTED, RemoteSettings
from danube_pkg.adapters.git.ssh import HostSsh, host_fingerprints, ssh_command
from danube_pkg.core.errors import Permanent, Unavailable
from danube_pkg.core.repositories.revisions import ANONYMOUS
from danube_pkg.core.repositories.urls import as_url, canonical, without_login
from danube_pkg.kit.addresses import only_addresses

SCHEMES = ("http", "https", "git", "ssh")
HINT = "check that the repository and the ref exist and that Danube may read them"

_FAILURES = (
    GitProtocolError,
    HangupException,
    HTTPUnauthorized,
    NotGitRepository,
    StrangeHostname,
    OSError,
    KeyError,
    ValueError,
    AssertionError,
)
"""What dulwich's clients raise when a server refuses, is unreachable or sends an invalid answer."""

_NOT_CONNECTED = re.compile(r"ssh: (connect to host |Could not resolve hostname )")
"""What ssh says, with the system's reason behind it, where it reached no server."""

_REFUSED = re.compile(
    r"Permission denied|Access denied|Authentication failed|Too many authentication failures|could not read Username"
    r"|(http resp|returned error:|HTTP/?[0-9.]*|status(:| code)?) (401|403)\b",
    re.IGNORECASE,
)
"""A status only behind the word for it: the same digits are in ports, hashes and paths."""

_UNREACHABLE = re.compile(
    r"Connection refused|timed out|No route to host|Connection reset|Network is unreachable|closed by|Broken pipe"
    r"|unexpectedly closed|hung up unexpectedly|not responding|Not allowed at this time|send disconnect"
    r"|Could(n't| not) connect to server|Could not resolve host|(http resp|returned error:) (429|5\d\d)\b"
)
"""Also of a server that stops, or has too many clients: it closes the connection, in the exchange of keys or later."""

_UNKNOWN_HOST = ("Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED", "No ED25519 host key")


@contextmanager
def connected(url: str, remote: RemoteSettings) -> Iterator[tuple[GitClient, str]]:
    """A client, and the repository's path for it. Errors in the block are translated to Permanent or Unavailable."""
    parts = urlsplit(as_url(url))
    scheme = parts.scheme.lower()
    if scheme not in SCHEMES:
        raise Permanent(
            "source-unavailable",
            f"{without_login(url)}: the protocol {scheme} is not supported",
            hint=f"use one of {', '.join(SCHEMES)}",
        )
    try:
        if scheme == "ssh":
            with ssh_command(remote) as command:
                path = parts.path.removeprefix("/") if parts.path.startswith("/~") else parts.path
                client = SSHGitClient(
                    parts.hostname or "", port=parts.port, username=parts.username or "git", vendor=HostSsh(command)
                )
                yield client, path.removeprefix("~/")
        elif scheme == "git":
            yield get_transport_and_path(url)
        else:
            with only_addresses(parts.hostname or "", remote.addresses):
                yield _http_client(url, remote), parts.path
    except _FAILURES as error:
        raise translated(url, remote, error) from error
    except Exception as error:
        if not isinstance(error, _http_errors()):
            raise
        raise translated(url, remote, error) from error


def _http_client(url: str, remote: RemoteSettings) -> Urllib3HttpGitClient:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    credential = remote.credential
    login = (credential.username, credential.password) if credential.password else (None, None)
    client = Urllib3HttpGitClient(
        parts._replace(netloc=host, path="/", query="", fragment="").geturl(),
        username=login[0],
        password=login[1],
        timeout=NETWORK_TIMEOUT_SECONDS,
    )
    if remote.one_host:
        _keep_to_host(client, url)
    return client


def _keep_to_host(client: Urllib3HttpGitClient, url: str) -> None:
    """Refuse redirects to another host or port, or away from https. urllib3 calls its manager again for each."""
    send, own = client.pool_manager.urlopen, _origin(url)

    def send_to_host(method: str, target: str, *arguments: Any, **options: Any) -> Any:
        if (found := _origin(target)) != own and (own[0] != "http" or found != ("https", own[1], 443)):
            raise redirected(url, target)
        return send(method, target, *arguments, **options)

    client.pool_manager.urlopen = send_to_host  # type: ignore[method-assign, union-attr]


def redirected(url: str, target: str) -> Permanent:
    """The error of a repository that is only allowed at its own host. target: "" where it is not known."""
    there = "to another host" if not target else f"to {without_login(target).partition('/info/refs')[0]}"
    return Permanent(
        REDIRECTED,
        f"{without_login(url)} is not fetched: it redirects {there}",
        cause="a submodule is fetched from the host that .gitmodules names, and from no other",
        hint="write the URL to which it redirects into .gitmodules: git submodule set-url PATH URL",
    )


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """(protocol, host, port); a port that is not a number is None."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        return parts.scheme, parts.hostname, None
    return parts.scheme, parts.hostname, port if port is not None else {"http": 80, "https": 443}.get(parts.scheme)


def translated(url: str, remote: RemoteSettings, error: BaseException) -> Permanent | Unavailable:
    """The error as one of ours: refused, unknown host key, unreachable, or not found. It contains no credentials."""
    name, rule = without_login(url), remote.credential.rule
    text = f"{type(error).__name__}: {error}"[:500].replace("\n", " ")
    if any(word in text for word in _UNKNOWN_HOST):
        host = canonical(url).partition("/")[0]
        machine, _, port = host.partition(":")
        scan = f"ssh-keyscan {f'-p {port} ' if port else ''}{machine}"
        shown = "; ".join(host_fingerprints(machine, port)) or "none that ssh-keyscan can read"
        return Permanent(
            "host-key-unknown",
            f"{name}: the server's host key is not known",
            cause=f"no known_hosts file contains it, or another one is known for this host; it shows {shown}",
            hint=f"compare the fingerprint with the forge's, then: {scan} >> {_first(remote.known_hosts)}",
        )
    is_connected = not _NOT_CONNECTED.search(text)
    if isinstance(error, HTTPUnauthorized) or (is_connected and _REFUSED.search(text)):
        how = "without credentials" if rule == ANONYMOUS else f"with the credential of the rule {rule!r}"
        return Permanent(
            "source-refused",
            f"{name} may not be read {how}",
            cause=text,
            hint="add a rule for it to git_authentication"
            if rule == ANONYMOUS
            else f"give the credential of {rule} access",
        )
    if not is_connected or _is_unreachable(error) or _UNREACHABLE.search(text):
        return Unavailable("source-unreachable", f"{name} cannot be reached now", cause=text, hint="try again")
    return Permanent("source-unavailable", f"{name} cannot be read", cause=text, hint=HINT)


def _http_errors() -> tuple[type[Exception], ...]:
    """urllib3's errors, where it was imported: only HTTP needs it, and its import takes longer than a local answer."""
    loaded = sys.modules.get("urllib3.exceptions")
    return (loaded.HTTPError,) if loaded is not None else ()


def _is_unreachable(error: BaseException | None) -> bool:
    chain = error
    while chain is not None:
        if isinstance(chain, (ConnectionError, TimeoutError, *_http_errors())):
            return True
        chain = chain.__cause__ or chain.__context__
    return False


def _first(known_hosts: tuple[str, ...]) -> str:
    return known_hosts[0] if known_hosts else "/etc/ssh/ssh_known_hosts"
