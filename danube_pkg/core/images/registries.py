"""Registries: where a host's interface is, which mirrors stand before it, and with what it is asked. Pure.

Plain http is spoken only where the configuration says so, since both credentials and tags travel on it.
"""

from collections.abc import Sequence
from typing import Annotated

from danube_pkg.core.documents import patterns
from danube_pkg.core.documents.marked import rule
from danube_pkg.core.images.reference import HUB, HUB_ENDPOINT, HUB_LOGIN
from danube_pkg.kit.records import HIDDEN, Record


class RegistrySpec(Record):
    """How one registry of images is reached."""

    host: Annotated[str, rule("The registry.", **patterns.host)]
    username: Annotated[str, rule("With password_secret: the login.")] = ""
    password_secret: Annotated[str, rule("The secret with the password or token.", **patterns.secret)] = ""
    insecure: Annotated[bool, rule("Plain http, which nothing protects on its way.")] = False
    mirrors: Annotated[
        tuple[str, ...],
        rule(
            "URLs that are asked first, in order; what none of them has is asked of the registry itself.",
            pattern=r"https?://[^\s/@]+",
            expects="a URL without a path",
            example="https://mirror.example.org",
        ),
    ] = ()


class RegistryCredentials(Record):
    """identity_token: what some registries give instead of a password, exchanged for access tokens only."""

    username: str = ""
    password: Annotated[str, HIDDEN] = ""
    identity_token: Annotated[str, HIDDEN] = ""


class RegistryEndpoint(Record):
    """A place that serves the distribution interface below `/v2/`. host: whose credentials it gets."""

    url: str
    host: str
    mirror: bool

    @property
    def plain(self) -> bool:
        """Whether it speaks http without TLS."""
        return self.url.startswith("http://")


def spec_of(host: str, specs: Sequence[RegistrySpec]) -> RegistrySpec:
    """The last one for a host, or one that says nothing."""
    return next((one for one in reversed(specs) if one.host == host), RegistrySpec(host))


def endpoints_of(host: str, specs: Sequence[RegistrySpec]) -> Sequence[RegistryEndpoint]:
    """Where to ask for that host's images: its mirrors first, in order, the host itself last."""
    spec = spec_of(host, specs)
    mirrors = [
        RegistryEndpoint(url.rstrip("/"), url.partition("://")[2].rstrip("/"), mirror=True) for url in spec.mirrors
    ]
    scheme = "http" if spec.insecure else "https"
    return [*mirrors, RegistryEndpoint(f"{scheme}://{HUB_ENDPOINT if host == HUB else host}", host, mirror=False)]


def login_names(host: str) -> Sequence[str]:
    """The names under which a host's credentials may be kept by other tools."""
    return (host, HUB_LOGIN, HUB_ENDPOINT) if host == HUB else (host,)
