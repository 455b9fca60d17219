"""`danube login URL`: a device code where the server has an issuer, else a password, for a token that this machine keeps."""

import argparse
import getpass
import socket
import sys
import time
from typing import Any

from danube_pkg.cli.client import ApiClient
from danube_pkg.cli.commands.token import add_token_arguments, scopes_of
from danube_pkg.cli.servers import (
    ServerAddress,
    checked_url,
    remember_server,
    servers_file,
)
from danube_pkg.core.errors import Invalid, NotFound, Permanent, Unauthenticated

WAIT_SECONDS = 600.0
"""For somebody to confirm a code; the issuer's own bound is mostly shorter."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL", help="https://ci.example.org")
    parser.add_argument("--email", help="who you are, where the server checks passwords; asked for if left out")
    parser.add_argument(
        "--with-token", action="store_true", help="take a token from standard input instead of logging in"
    )
    add_token_arguments(parser, name=f"danube login on {socket.gethostname()}")


def main(options: argparse.Namespace) -> int:
    url = checked_url(options.url)
    place = ServerAddress(url, "check the address and the network", url=url)
    token = sys.stdin.readline().strip() if options.with_token else _token(options, ApiClient(options, place=place))
    client = ApiClient(options, place=ServerAddress(url, place.hint, url=url, token=token))
    name = client.get("/api/v1/me")["name"]
    remember_server(url, token, name)
    print(f"logged in at {url} as {name}; the token is in {servers_file()}", file=sys.stderr)
    return 0


def _token(options: argparse.Namespace, client: ApiClient) -> str:
    wish = {"name": options.name, "scopes": scopes_of(options), "days": options.expires}
    if client.get("/auth/methods")["oidc"]:
        return _by_device(client, wish)
    if not options.email and not sys.stdin.isatty():
        raise Invalid("email-missing", "who logs in?", hint="danube login URL --email YOU@example.org < password-file")
    email = options.email or input("e-mail address: ")
    password = getpass.getpass("password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    made = client.post("/auth/token", {"email": email, "password": password, "token": wish})
    return str(made["token"])


def _by_device(client: ApiClient, wish: dict[str, Any]) -> str:
    try:
        begun = client.post("/auth/device")
    except NotFound as error:
        hint = f"make a token on {client.place.url}, then: danube login {client.place.url} --with-token"
        raise Permanent(error.reference, error.what, cause=error.cause, hint=hint) from error
    where = begun["verification_uri_complete"] or begun["verification_uri"]
    print(f"open {where}\nand confirm the code {begun['user_code']}", file=sys.stderr)
    deadline = time.monotonic() + min(WAIT_SECONDS, begun["expires_in_seconds"])
    while time.monotonic() < deadline:
        time.sleep(begun["interval_seconds"])
        answer = client.post("/auth/device/token", {"handle": begun["handle"], "token": wish})
        if "token" in answer:
            return str(answer["token"])
    raise Unauthenticated("device-login-expired", "nobody confirmed the code", hint=f"danube login {client.place.url}")
