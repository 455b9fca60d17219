"""`danube.toml` as grouped, frozen records: what a server needs to know before it can read its configuration repository.

Each field says its unit and why that default. Paths are text as the file has them until `danube_pkg.adapters.configuration`
makes them absolute, relative to the file.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from danube_pkg.core.images import HUB
from danube_pkg.core.marked import rule
from danube_pkg.core.registries import RegistryRule

_ADDRESS = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]*):[0-9]{1,5}"


class RuntimeKind(StrEnum):
    """What makes pods; `auto` is Kubernetes where a cluster is configured, the sandbox otherwise."""

    AUTO = "auto"
    KUBERNETES = "kubernetes"
    SANDBOX = "sandbox"


@dataclass(frozen=True, slots=True)
class ConfigRepository:
    """`[config_repo]`. url: a directory (relative to danube.toml) or a Git repository; branch: "" is its default branch."""

    url: str
    branch: str = ""
    sync_interval: int = field(default=60, metadata=rule(at_least=1, at_most=86400))
    """Seconds between two looks. A minute: soon enough for a poll, which a webhook makes immediate; kind to the forge."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """`[server]`. Addresses are `host:port`; port 0 takes any that is free."""

    bind_address: str = field(default="127.0.0.1:8080", metadata=rule(pattern=_ADDRESS, example="127.0.0.1:8080"))
    """Loopback: what is reachable from outside is a decision that somebody takes."""
    data_dir: str = "/var/lib/danube"
    grpc_address: str = field(default="", metadata=rule(pattern=f"|{_ADDRESS}", example="0.0.0.0:9090"))
    """Where coordinators in a cluster connect; empty: a unix socket alone, which is all that the sandbox needs."""
    advertise_address: str = field(default="", metadata=rule(pattern=f"|{_ADDRESS}", example="danube.example.org:9090"))
    external_url: str = field(default="", metadata=rule(pattern=r"|https?://[^\s]+", example="https://ci.example.org"))
    """How people reach this server; empty: as they asked for it."""


@dataclass(frozen=True, slots=True)
class RuntimeSettings:
    """`[runtime]`. host_paths: what the image `host` shows beside the machine's own programs."""

    kind: RuntimeKind = RuntimeKind.AUTO
    kubeconfig: str = ""
    host_paths: tuple[str, ...] = field(default=(), metadata=rule(pattern=r"/.+", example="/opt/toolchain"))


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """`[registry]`. url: a registry on this machine or beside it, for jobs that push images and run in them; it is named in
    images by its host and port, and reached by http where the URL says so."""

    url: str = field(default="", metadata=rule(pattern=r"|https?://[^\s/@]+", example="http://127.0.0.1:5000"))
    default_host: str = field(default=HUB, metadata=rule(pattern=r"[^\s/@]+", example="registry.example.org"))
    """Where an image without a host comes from (`node:20`). The hub, because that is what such a name means everywhere."""

    def rules(self) -> tuple[RegistryRule, ...]:
        """What follows for the puller."""
        scheme, _, host = self.url.partition("://")
        return (RegistryRule(host, http=scheme == "http"),) if host else ()


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """`[images]`. store_gb: what images may take of the disk; above it what was used longest ago is removed."""

    store_gb: int = field(default=40, metadata=rule(at_least=1, at_most=100_000))
    """A few dozen usual images; a server's disk has room for more, a laptop's not."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """`[tls]`: PEM files of the server's certificate and key; both or none."""

    certificate: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """All of `danube.toml`."""

    config_repo: ConfigRepository
    server: ServerSettings = field(default_factory=ServerSettings)
    runtime: RuntimeSettings = field(default_factory=RuntimeSettings)
    tls: TlsSettings = field(default_factory=TlsSettings)
    registry: RegistrySettings = field(default_factory=RegistrySettings)
    images: ImageSettings = field(default_factory=ImageSettings)
