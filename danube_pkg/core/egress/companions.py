"""Hosts that well-known services need beside their own: an index names files on another host. Pure.

Allowlists have no such host by themselves: what is allowed is written. A list that has the service alone is named by
`danube validate`, and the hint of a refusal has both.
"""

from collections.abc import Mapping, Sequence

COMPANIONS: Mapping[str, tuple[str, ...]] = {
    "api.nuget.org": ("globalcdn.nuget.org",),
    "crates.io": ("index.crates.io", "static.crates.io"),
    "docker.io": ("registry-1.docker.io", "auth.docker.io", "production.cloudflare.docker.com"),
    "ghcr.io": ("pkg-containers.githubusercontent.com",),
    "index.crates.io": ("static.crates.io",),
    "proxy.golang.org": ("sum.golang.org",),
    "pypi.org": ("files.pythonhosted.org",),
    "registry-1.docker.io": ("auth.docker.io", "production.cloudflare.docker.com"),
}
"""By the host that users write: without these its ordinary client cannot download anything."""

DOWNLOADS: Mapping[str, tuple[str, ...]] = {
    "github.com": ("codeload.github.com", "objects.githubusercontent.com", "release-assets.githubusercontent.com"),
}
"""Hosts that only archives and files of releases need; Git does not. They are named where one of them is refused."""


def service_of(host: str) -> str:
    """The service that has its files on this host; "" for none that is known."""
    tables = (*COMPANIONS.items(), *DOWNLOADS.items())
    return next((service for service, hosts in tables if host in hosts), "")


def companions_of(host: str) -> Sequence[str]:
    """What the ordinary client of this service needs too."""
    return COMPANIONS.get(host, ())
