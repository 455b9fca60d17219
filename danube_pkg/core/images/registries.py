"""Registries: the API endpoints of a host, its mirrors and its credentials. Pure.

Plain http is used only if the configuration allows it, since it exposes credentials and tags.
"""

import base64
import json
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlsplit

from danube_pkg.core.documents import patterns
from danube_pkg.core.documents.marked import rule
from danube_pkg.core.images.reference import HUB, HUB_ENDPOINT, HUB_LOGIN
from danube_pkg.core.runtimes.pods import RegistryLogin
from danube_pkg.kit.records import HIDDEN, Record


class RegistrySpec(Record):
    """The configuration of one image registry."""

    host: Annotated[str, rule("The registry.", **patterns.host)]
    username: Annotated[str, rule("With password_secret: the login.")] = ""
    password_secret: Annotated[str, rule("The secret with the password or token.", **patterns.secret)] = ""
    insecure: Annotated[bool, rule("Plain http, without encryption.")] = False
    mirrors: Annotated[
        tuple[str, ...],
        rule(
            "URLs that are tried before the registry itself, in order.",
            pattern=r"https?://[^\s/@]+",
            expects="a URL without a path",
            example="https://mirror.example.org",
        ),
    ] = ()


class RegistryCredentials(Record):
    """identity_token: in place of a password; it can only be exchanged for access tokens."""

    username: str = ""
    password: Annotated[str, HIDDEN] = ""
    identity_token: Annotated[str, HIDDEN] = ""


class RegistryEndpoint(Record):
    """A server of the distribution API below `/v2/`. host: the registry whose credentials it gets."""

    url: str
    host: str
    mirror: bool

    @property
    def plain(self) -> bool:
        """Whether it uses http without TLS."""
        return self.url.startswith("http://")


def spec_of(host: str, specs: Sequence[RegistrySpec]) -> RegistrySpec:
    """The last one for a host, or the defaults."""
    return next((one for one in reversed(specs) if one.host == host), RegistrySpec(host))


def endpoints_of(host: str, specs: Sequence[RegistrySpec]) -> Sequence[RegistryEndpoint]:
    """The endpoints for that host's images: its mirrors in order, then the host itself."""
    spec = spec_of(host, specs)
    mirrors = [
        RegistryEndpoint(url.rstrip("/"), url.partition("://")[2].rstrip("/"), mirror=True) for url in spec.mirrors
    ]
    scheme = "http" if spec.insecure else "https"
    return [*mirrors, RegistryEndpoint(f"{scheme}://{HUB_ENDPOINT if host == HUB else host}", host, mirror=False)]


def target_of(endpoint: RegistryEndpoint) -> tuple[str, int]:
    """Host in lower case, and port."""
    parts = urlsplit(endpoint.url)
    return parts.hostname or "", parts.port or (80 if endpoint.plain else 443)


def configured_targets(default_host: str, specs: Sequence[RegistrySpec]) -> frozenset[tuple[str, int]]:
    """Host and port of each registry and mirror that the configuration names, and of the default registry."""
    hosts = {default_host, *(spec.host for spec in specs)}
    return frozenset(target_of(endpoint) for host in hosts for endpoint in endpoints_of(host, specs))


def login_names(host: str) -> Sequence[str]:
    """The names under which other tools may store a host's credentials."""
    return (host, HUB_LOGIN, HUB_ENDPOINT) if host == HUB else (host,)


def docker_config(logins: Sequence[RegistryLogin]) -> str:
    """The content of a `config.json` of Docker, as clients and the kubelet read it."""
    auths = {
        name: {"auth": base64.b64encode(f"{one.username}:{one.password}".encode()).decode()}
        for one in logins
        for name in login_names(one.host)
    }
    return json.dumps({"auths": auths})
