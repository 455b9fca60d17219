"""dulwich's clients for each kind of URL, and the translation of their errors."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
from danube_pkg.adapters.git.remote import RemoteSettings
from danube_pkg.adapters.git.ssh import HostSsh, ssh_command
from danube_pkg.core.errors import Permanent, Unavailable
from danube_pkg.core.repositories.revisions import ANONYMOUS
from danube_pkg.core.repositories.urls import as_url, canonical, without_login

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

_REFUSED = ("Permission denied", "publickey", "HTTP Basic: Access denied", "401", "403")
_UNREACHABLE = (
    "Connection refused",
    "timed out",
    "No route to host",
    "Connection reset",
    "Network is unreachable",
    "closed by",
)
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
    return Urllib3HttpGitClient(
        parts._replace(netloc=host, path="/", query="", fragment="").geturl(),
        username=login[0],
        password=login[1],
        timeout=NETWORK_TIMEOUT_SECONDS,
    )


def translated(url: str, remote: RemoteSettings, error: BaseException) -> Permanent | Unavailable:
    """The error as one of ours: refused, unknown host key, unreachable, or not found. It contains no credentials."""
    name, rule = without_login(url), remote.credential.rule
    text = f"{type(error).__name__}: {error}"[:500].replace("\n", " ")
    if any(word in text for word in _UNKNOWN_HOST):
        host = canonical(url).partition("/")[0]
        machine, _, port = host.partition(":")
        scan = f"ssh-keyscan {f'-p {port} ' if port else ''}{machine}"
        return Permanent(
            "host-key-unknown",
            f"{name}: the server's host key is not known",
            cause="no known_hosts file contains it, or another one is known for this host",
            hint=f"compare the fingerprint with the forge's, then: {scan} >> {_first(remote.known_hosts)}",
        )
    if isinstance(error, HTTPUnauthorized) or any(word in text for word in _REFUSED):
        how = "without credentials" if rule == ANONYMOUS else f"with the credential of the rule {rule!r}"
        return Permanent(
            "source-refused",
            f"{name} may not be read {how}",
            cause=text,
            hint="add a rule for it to git_authentication"
            if rule == ANONYMOUS
            else f"give the credential of {rule} access",
        )
    if _is_unreachable(error) or any(word in text for word in _UNREACHABLE):
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
        if isinstance(chain, GitProtocolError) and "unexpected http resp 5" in str(chain):
            return True
        chain = chain.__cause__ or chain.__context__
    return False


def _first(known_hosts: tuple[str, ...]) -> str:
    return known_hosts[0] if known_hosts else "/etc/ssh/ssh_known_hosts"
