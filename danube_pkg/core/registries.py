"""Registries: where a host's interface is, which mirrors stand before it, and with what it is asked. Pure.

Plain http is spoken only where a rule or a mirror's own URL says so, since both credentials and tags travel on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from danube_pkg.core.configuration.server import RegistrySpec
from danube_pkg.core.images import HUB, HUB_ENDPOINT, HUB_LOGIN


@dataclass(frozen=True, slots=True)
class RegistryRule:
    """How one registry is reached. password_secret: the key of a Danube secret that every pipeline may read.

    mirrors: URLs that are asked first, in this order; what none of them has is asked of the registry itself.
    """

    host: str
    mirrors: tuple[str, ...] = ()
    http: bool = False
    username: str = ""
    password_secret: str = ""


def registry_rule(spec: RegistrySpec) -> RegistryRule:
    """What the configuration says of a registry."""
    return RegistryRule(spec.host, spec.mirrors, spec.insecure, spec.username, spec.password_secret)


@dataclass(frozen=True, slots=True)
class Credentials:
    """identity_token: what some registries give instead of a password, exchanged for access tokens only."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A place that serves the distribution interface below `/v2/`. host: whose credentials it gets."""

    url: str
    host: str
    mirror: bool

    @property
    def plain(self) -> bool:
        """Whether it speaks http without TLS."""
        return self.url.startswith("http://")


def rule_for(host: str, rules: Sequence[RegistryRule]) -> RegistryRule:
    """The last rule for a host, or one that says nothing."""
    return next((one for one in reversed(rules) if one.host == host), RegistryRule(host))


def endpoints_of(host: str, rules: Sequence[RegistryRule]) -> Sequence[Endpoint]:
    """Where to ask for that host's images: mirrors first, the host itself last."""
    known = rule_for(host, rules)
    mirrors = [Endpoint(url.rstrip("/"), url.partition("://")[2].rstrip("/"), mirror=True) for url in known.mirrors]
    scheme = "http" if known.http else "https"
    own = HUB_ENDPOINT if host == HUB else host
    return [*mirrors, Endpoint(f"{scheme}://{own}", host, mirror=False)]


def login_names(host: str) -> Sequence[str]:
    """The names under which a host's credentials may be kept by other tools."""
    return (host, HUB_LOGIN, HUB_ENDPOINT) if host == HUB else (host,)
