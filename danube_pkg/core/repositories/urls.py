"""URLs of repositories: what is a URL, which URLs name the same repository, what a relative path means."""

import posixpath
import re
from urllib.parse import SplitResult, urlsplit

_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[^/]+@[^/]+:|[^/@]+\.[^/@]+:[^/]")
_SCP = re.compile(r"(?:(?P<user>[^/@]+)@)?(?P<host>\[[^\]]+\]|[^/:@]+):(?P<path>[^/].*|/.*)")
_DEFAULT_PORTS = {"http": 80, "https": 443, "ssh": 22, "git": 9418}


def is_remote(text: str) -> bool:
    """Whether a repository is a URL (or scp's `user@host:path`) and not a directory of this machine."""
    return not text.startswith("file://") and _REMOTE.match(text) is not None


def is_malformed(text: str) -> bool:
    """Whether a URL's host or port cannot be read: `http://[x`, `https://host:port/`."""
    if not is_remote(text):
        return False
    try:
        _ = urlsplit(as_url(text)).port
    except ValueError:
        return True
    return False


def _split(url: str) -> SplitResult:
    """The parts of a URL; those of a malformed one, which configuration refuses, are empty."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def repository_from(text: str, base: str) -> str:
    """A URL unchanged, a directory as an absolute path; relative ones start from `base`."""
    if is_remote(text):
        return text
    return posixpath.normpath(posixpath.join(base, text.removeprefix("file://")))


def as_url(text: str) -> str:
    """scp's `user@host:path` as the `ssh://` URL of the same repository; anything else unchanged."""
    if "://" in text or not is_remote(text) or not (match := _SCP.fullmatch(text)):
        return text
    user = f"{match['user']}@" if match["user"] else ""
    path = match["path"] if match["path"].startswith("/") else f"/~/{match['path']}"
    return f"ssh://{user}{match['host']}{path}"


def scheme_of(text: str) -> str:
    """The URL's scheme in lower case; "file" for a directory."""
    return _split(as_url(text)).scheme.lower() if is_remote(text) else "file"


def canonical(text: str) -> str:
    """A repository as `host/path`, by which rules and webhooks name it: without scheme, user, default port and `.git`,
    the host in lower case. A directory is its path.
    """
    if not is_remote(text):
        return text.removeprefix("file://").rstrip("/")
    parts = _split(as_url(text))
    try:
        port = parts.port
    except ValueError:
        port = None
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    if port is not None and port != _DEFAULT_PORTS.get(parts.scheme.lower()):
        host = f"{host}:{port}"
    path = parts.path.removeprefix("/~/").strip("/").removesuffix(".git").rstrip("/")
    return f"{host}/{path}"


def same_repository(one: str, other: str) -> bool:
    """Whether two URLs name one repository, by any scheme and in any case."""
    return canonical(one).lower() == canonical(other).lower()


def without_login(text: str) -> str:
    """The URL without user name and password; for ssh the user name stays, which is not secret."""
    if not is_remote(text):
        return text
    if "://" not in text:
        return text
    parts = _split(text)
    login, at, host = parts.netloc.rpartition("@")
    user = login.partition(":")[0] if parts.scheme.lower() == "ssh" else ""
    return parts._replace(netloc=f"{user}@{host}" if at and user else host).geturl()


def has_password(text: str) -> bool:
    """Whether a URL contains a password; for http and https a user name alone may be a token."""
    if "://" not in text:
        return False
    parts = _split(text)
    login = parts.netloc.rpartition("@")[0]
    return ":" in login or (bool(login) and parts.scheme.lower() in ("http", "https"))
