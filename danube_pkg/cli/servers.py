"""Which server a command talks to: the unix socket of a data directory, or a URL with an API token.

The first that is given of `--server`, `--data`, DANUBE_SERVER, DANUBE_DATA, `server.data_dir` of the danube.toml that
`danube serve` would read here, `.danube` in this directory, the system's socket, and the server of the last
`danube login`. Tokens are kept in `~/.config/danube/servers.json`, readable only by the owner.
"""

import argparse
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from danube_pkg.cli.settings_file import local_data_directory, system_data_directory
from danube_pkg.core.errors import Invalid, Permanent
from danube_pkg.core.identity.local_socket import SOCKET_NAME
from danube_pkg.kit.files import write_atomically
from danube_pkg.kit.records import HIDDEN, Record

_LOCAL_DATA = Path(".danube")


class ServerAddress(Record):
    """A server. socket, or url: the base of the API's paths. hint: what to do if no server answers there."""

    name: str
    hint: str
    socket: Path | None = None
    url: str = ""
    token: Annotated[str, HIDDEN] = ""


def add_server_arguments(parser: argparse.ArgumentParser, *, json_help: str = "print JSON") -> None:
    """--json, --server and --data. json_help: "" for a command that prints no result, which then has no --json."""
    if json_help:
        parser.add_argument("--json", action="store_true", help=json_help)
    parser.add_argument(
        "--server", metavar="URL", help="a server on another machine (DANUBE_SERVER); log in first: danube login URL"
    )
    add_ca_argument(parser)
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="the server's data directory (DANUBE_DATA; else that of ./danube.toml, ./.danube, /var/lib/danube)",
    )


def add_ca_argument(parser: argparse.ArgumentParser) -> None:
    """--ca-file."""
    parser.add_argument(
        "--ca-file",
        metavar="FILE",
        help="certificates of the authority that signed the server's (DANUBE_CA_FILE; else those of this machine)",
    )


def ca_file(options: argparse.Namespace, url: str = "") -> str:
    """The option's, else DANUBE_CA_FILE, else the one of `danube login` for that URL; "" for those of this machine."""
    kept = known_servers().get("servers", {}).get(url, {}).get("ca_file", "") if url else ""
    return str(getattr(options, "ca_file", None) or os.environ.get("DANUBE_CA_FILE") or kept)


def data_directory(option: str | None) -> Path:
    """The option's, else DANUBE_DATA, else danube.toml's, else `.danube` in this directory, else the system's."""
    if text := option or os.environ.get("DANUBE_DATA"):
        return Path(text).absolute()
    if (written := local_data_directory()) is not None:
        return written.absolute()
    return (_LOCAL_DATA if _LOCAL_DATA.is_dir() else system_data_directory()).absolute()


def find_server(options: argparse.Namespace) -> ServerAddress:
    """The server that the options and the environment name. Raises Invalid, Permanent."""
    if options.server and options.data:
        raise Invalid("two-servers", "--server and --data name two servers", hint="leave one out")
    if options.server:
        return remote(options.server)
    if options.data:
        return local(Path(options.data))
    if url := os.environ.get("DANUBE_SERVER"):
        return remote(url)
    if text := os.environ.get("DANUBE_DATA"):
        return local(Path(text))
    if (written := local_data_directory()) is not None:
        return local(written)
    if _LOCAL_DATA.is_dir():
        return local(_LOCAL_DATA)
    system = system_data_directory()
    if (system / SOCKET_NAME).exists():
        return local(system)
    if url := known_servers().get("default"):
        return remote(str(url))
    return local(system)


def local(data: Path) -> ServerAddress:
    """The server of a data directory on this machine."""
    data = data.absolute()
    hint = (
        f"start one: danube serve --data {data}, or name one: --data DIR or DANUBE_DATA, --server URL or DANUBE_SERVER"
    )
    return ServerAddress(str(data / SOCKET_NAME), hint, socket=data / SOCKET_NAME)


def remote(text: str) -> ServerAddress:
    """The server at a URL, with its token; DANUBE_TOKEN takes precedence over the kept one."""
    url = checked_url(text)
    known = known_servers().get("servers", {}).get(url, {})
    token = os.environ.get("DANUBE_TOKEN") or known.get("token", "")
    return ServerAddress(
        url, f"check the address and the network; log in with: danube login {url}", url=url, token=token
    )


def checked_url(text: str) -> str:
    """The URL with its scheme and without a trailing slash. Raises Invalid."""
    url = text if "://" in text else f"https://{text}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None or parts.query:
        raise Invalid("server-invalid", f"{text!r} is not a server's URL", hint="danube login https://ci.example.org")
    return url.rstrip("/")


# --- what is kept in the user's own configuration


def servers_file() -> Path:
    """`~/.config/danube/servers.json`, or the same below XDG_CONFIG_HOME."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "danube" / "servers.json"


def known_servers() -> Mapping[str, Any]:
    """`{"default": URL, "servers": {URL: {"token": …, "name": …}}}`; empty if there is no file. Raises Permanent."""
    path = servers_file()
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise Permanent(
                "tokens-readable", f"{path} can be read by others", cause="it holds tokens", hint=f"chmod 600 {path}"
            )
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Permanent(
            "tokens-unreadable", f"{path} cannot be read", cause=str(error), hint=f"remove {path}"
        ) from error
    return found if isinstance(found, dict) else {}


def remember_server(url: str, token: str, name: str, authority: str = "") -> None:
    """Keep a token, and make this server the default. authority: the file of --ca-file."""
    known = known_servers()
    kept = {"token": token, "name": name} | ({"ca_file": str(Path(authority).absolute())} if authority else {})
    servers = {**known.get("servers", {}), url: kept}
    _write({"default": url, "servers": servers})


def forget_server(url: str) -> None:
    """Remove the server and its token."""
    known = known_servers()
    servers = {other: entry for other, entry in known.get("servers", {}).items() if other != url}
    default = known.get("default")
    _write({"default": next(iter(servers), None) if default == url else default, "servers": servers})


def _write(content: Mapping[str, object]) -> None:
    path = servers_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(path, json.dumps(content, indent=2).encode() + b"\n")
    except OSError as error:
        raise Permanent(
            "tokens-not-written",
            f"{path} cannot be written",
            cause=str(error),
            hint=f"make its directory writable: chmod u+w {path.parent}",
        ) from error
