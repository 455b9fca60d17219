"""`[registry]` of danube.toml."""

from typing import Annotated

from danube_pkg.core.documents.marked import rule
from danube_pkg.core.images.reference import HUB
from danube_pkg.core.images.registries import RegistrySpec
from danube_pkg.kit.records import Record


class RegistrySettings(Record):
    """`[registry]`: a registry on this machine or beside it, for jobs that push images and run in them."""

    url: Annotated[
        str,
        rule(
            "The registry's URL, with http or https; images name it by host and port.",
            pattern=r"|https?://[^\s/@]+",
            expects="a URL without a path",
            example="http://registry.test:5000",
            restart=True,
        ),
    ] = ""
    token_url: Annotated[
        str,
        rule(
            "The realm in the registry's configuration (`auth: token`), which is this server as the registry's clients"
            " reach it, with the path /registry/token. With it the registry takes tokens that this server issues.",
            pattern=r"|https?://[^\s/@]+/registry/token",
            expects="a URL with the path /registry/token",
            example="http://danube.test:8080/registry/token",
            restart=True,
        ),
    ] = ""
    default_host: Annotated[
        str,
        rule(
            "The registry of images without a host (`node:20`). The hub, as in other tools.",
            pattern=r"[^\s/@]+",
            expects="a host",
            example="registry.example.org",
            restart=True,
        ),
    ] = HUB

    def specs(self) -> tuple[RegistrySpec, ...]:
        """The registry, and the server of its tokens, as rules for pulling images; empty without a registry."""
        found = [url.partition("://") for url in (self.url, self.token_url.removesuffix("/registry/token")) if url]
        return tuple(RegistrySpec(host, insecure=scheme == "http") for scheme, _, host in found) if self.url else ()

    @property
    def host(self) -> str:
        """Host and port by which images name the registry; "" without one."""
        return self.url.partition("://")[2]
