"""`danube login URL`: get a token by a device code if the server has an issuer, else by a password, and keep it."""

import argparse
import getpass
import socket
import sys
import time
from datetime import datetime, timedelta
from typing import Any

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.commands.token import add_token_arguments, scopes_of
from danube_pkg.cli.output import say
from danube_pkg.cli.servers import (
    ServerAddress,
    add_ca_argument,
    ca_file,
    checked_url,
    find_server,
    remember_server,
    servers_file,
)
from danube_pkg.core.errors import Invalid, NotFound, Permanent, Unauthenticated
from danube_pkg.kit.records import replace

WAIT_SECONDS = 600.0
"""How long to wait for the user to confirm the code; most issuers allow less."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL", help="the server: https://ci.example.org")
    parser.add_argument("--email", help="your address, for a login by password (you are prompted for it)")
    parser.add_argument(
        "--with-token", action="store_true", help="read a token from standard input instead of logging in"
    )
    add_ca_argument(parser)
    add_token_arguments(parser, name=f"danube login on {socket.gethostname()}")


def main(options: argparse.Namespace) -> int:
    url = checked_url(options.url)
    server = ServerAddress(url, "check the address and the network", url=url)
    token = sys.stdin.readline().strip() if options.with_token else _token(options, ApiClient(options, server=server))
    client = ApiClient(options, server=replace(server, token=token))
    name = client.get("/api/v1/me")["name"]
    remember_server(url, token, name, ca_file(options))
    say(f"logged in at {url} as {name}; the token is in {servers_file()}", file=sys.stderr)
    _note_other_server(url)
    return 0


def _note_other_server(url: str) -> None:
    """A server of this machine takes precedence over the last login: its owner is not an ordinary user there."""
    used = find_server(argparse.Namespace(server=None, data=None))
    if used.url != url:
        say(f"commands here use {used.name} all the same; name this one: --server {url}", file=sys.stderr)


def _token(options: argparse.Namespace, client: ApiClient) -> str:
    wish = {"name": options.name, "scopes": scopes_of(options), "days": options.expires}
    if client.get("/auth/methods")["oidc"]:
        return _by_device(client, wish)
    if not options.email and not sys.stdin.isatty():
        raise Invalid(
            "email-missing", "the address is missing", hint="danube login URL --email YOU@example.org < password-file"
        )
    email = options.email or input("e-mail address: ")
    password = getpass.getpass("password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not password:
        raise Invalid("password-empty", "the password is empty", hint=f"type it: danube login {client.server.url}")
    made = client.post("/auth/token", {"email": email, "password": password, "token": wish})
    return str(made["token"])


def _by_device(client: ApiClient, wish: dict[str, Any]) -> str:
    try:
        begun = client.post("/auth/device")
    except NotFound as error:
        hint = f"create a token on {client.server.url}, then: danube login {client.server.url} --with-token"
        raise Permanent(error.reference, error.what, cause=error.cause, hint=hint) from error
    where = begun["verification_uri_complete"] or begun["verification_uri"]
    say(f"open {where}\nand confirm the code {begun['user_code']}", file=sys.stderr)
    left = min(WAIT_SECONDS, begun["expires_in_seconds"])
    deadline = time.monotonic() + left
    until = (datetime.now().astimezone() + timedelta(seconds=left)).strftime("%H:%M:%S")
    say(f"waiting for the confirmation until {until}; ctrl-c ends it", file=sys.stderr)
    while time.monotonic() < deadline:
        time.sleep(begun["interval_seconds"])
        answer = client.post("/auth/device/token", {"handle": begun["handle"], "token": wish})
        if "token" in answer:
            return str(answer["token"])
    raise Unauthenticated(
        "device-login-expired",
        "the code was not confirmed in time",
        cause="the issuer reported no confirmation; its page in the browser says why, if it refused the code",
        hint=f"danube login {client.server.url}; if the page said that the client is invalid: auth.oidc.device_client_id",
    )
