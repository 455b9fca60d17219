"""`danube.toml` as grouped, frozen records: what a server needs to know before it can read its configuration repository.

Each field says its unit and why that default. Paths are text as the file has them until `danube_pkg.adapters.configuration`
makes them absolute, relative to the file. What `danube.toml` leaves out, `config.yaml` may say: `effective_settings`.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from danube_pkg.core.configuration.config import ConfigSpec, ServerSpec
from danube_pkg.core.documents import patterns
from danube_pkg.core.documents.marked import rule
from danube_pkg.core.images.reference import HUB
from danube_pkg.core.images.registries import RegistrySpec
from danube_pkg.core.repositories.revisions import GitProgram
from danube_pkg.kit.records import Record, field, replace

_MAYBE_ADDRESS = patterns.address | {"pattern": f"|{patterns.address['pattern']}"}


class RuntimeKind(StrEnum):
    """What makes pods; `auto` is Kubernetes where a cluster is configured, the sandbox otherwise."""

    AUTO = "auto"
    KUBERNETES = "kubernetes"
    SANDBOX = "sandbox"


class ConfigRepository(Record):
    """`[config_repo]`: where the configuration is."""

    url: Annotated[
        str,
        rule(
            "A directory (relative to danube.toml) or a Git repository by ssh, https or a local path.",
            example='"https://git.example.org/ops/danube-config.git"',
        ),
    ]
    branch: Annotated[str, rule("Which branch counts; its default branch where none is named.")] = ""
    sync_interval: Annotated[
        int,
        rule(
            "Seconds between two looks. A minute: soon enough beside webhooks, kind to the forge.",
            at_least=1,
            at_most=86400,
        ),
    ] = 60
    username: Annotated[str, rule("With token_secret: the user name; many forges take any.")] = "git"
    token_secret: Annotated[
        str,
        rule(
            "For https: the Danube secret with the token. It can be set before the first sync: danube secrets set.",
            **patterns.secret,
        ),
    ] = ""


class ServerSettings(Record):
    """`[server]`: addresses are `HOST:PORT`; port 0 takes any that is free."""

    bind_address: Annotated[
        str,
        rule(
            "Where HTTP is served. Loopback: what is reachable from outside is a decision that somebody takes.",
            restart=True,
            **(patterns.address | {"example": "127.0.0.1:8080"}),
        ),
    ] = "127.0.0.1:8080"
    data_dir: Annotated[str, rule("Where everything is kept.", restart=True)] = "/var/lib/danube"
    grpc_address: Annotated[
        str,
        rule(
            "Where coordinators in a cluster connect; empty: a unix socket alone, which is all that the sandbox needs.",
            restart=True,
            **(_MAYBE_ADDRESS | {"example": "0.0.0.0:9090"}),
        ),
    ] = ""
    advertise_address: Annotated[
        str,
        rule(
            "How coordinators in a cluster reach grpc_address.",
            restart=True,
            **(_MAYBE_ADDRESS | {"example": "danube.example.org:9090"}),
        ),
    ] = ""
    external_url: Annotated[
        str,
        rule(
            "How people reach this server; empty: as they asked for it.",
            **(patterns.web_url | {"example": "https://ci.example.org"}),
        ),
    ] = ""


class RuntimeSettings(Record):
    """`[runtime]`: what makes pods."""

    kind: Annotated[RuntimeKind, rule("auto: Kubernetes where kubeconfig is set, else the sandbox.", restart=True)] = (
        RuntimeKind.AUTO
    )
    kubeconfig: Annotated[str, rule("How the cluster is reached.", restart=True)] = ""
    host_paths: Annotated[
        tuple[str, ...],
        rule(
            "What the image `host` shows beside the machine's own programs.",
            pattern=r"/.+",
            expects="an absolute path",
            example="/opt/toolchain",
            restart=True,
        ),
    ] = ()


class SourceSettings(Record):
    """`[sources]`: how application repositories are read."""

    git: Annotated[GitProgram, rule("Who fetches: dulwich, or the host's git.")] = GitProgram.DULWICH
    mirrors_limit_gb: Annotated[
        int,
        rule(
            "Of repos/, in GiB; what was not used longest goes first. Twenty: hundreds of usual repositories.",
            at_least=1,
            at_most=10_000,
        ),
    ] = 20


class RegistrySettings(Record):
    """`[registry]`: a registry on this machine or beside it, for jobs that push images and run in them."""

    url: Annotated[
        str,
        rule(
            "The registry; images name it by host and port, and http is spoken where the URL says so.",
            pattern=r"|https?://[^\s/@]+",
            expects="a URL without a path",
            example="http://registry.test:5000",
            restart=True,
        ),
    ] = ""
    default_host: Annotated[
        str,
        rule(
            "Where an image without a host comes from (`node:20`). The hub, because that is what such a name means everywhere.",
            pattern=r"[^\s/@]+",
            expects="a host",
            example="registry.example.org",
            restart=True,
        ),
    ] = HUB

    def specs(self) -> tuple[RegistrySpec, ...]:
        """What follows for the puller."""
        scheme, _, host = self.url.partition("://")
        return (RegistrySpec(host, insecure=scheme == "http"),) if host else ()


class ImageSettings(Record):
    """`[images]`: the store of unpacked images."""

    store_gb: Annotated[
        int,
        rule(
            "What images may take of the disk, in GiB; above it what was used longest ago is removed. Forty: a few dozen usual images.",
            at_least=1,
            at_most=100_000,
            restart=True,
        ),
    ] = 40


class EgressHosts(Record):
    """`[egress]`: how names lead to addresses for pods."""

    hosts: Annotated[
        Mapping[str, str],
        rule(
            "Names that lead pods to another address than this machine's resolver says, as /etc/hosts would. An address of"
            " a private network must be in the allowlist as well.",
            pattern=r"[0-9A-Fa-f:.]+",
            expects="an IP address",
            example="10.1.2.3",
            restart=True,
        ),
    ] = field(default_factory=dict)


class TlsSettings(Record):
    """`[tls]`: PEM files of the server's certificate and key; both or none."""

    certificate: Annotated[str, rule("The certificate with its chain.", restart=True)] = ""
    key: Annotated[str, rule("Its private key.", restart=True)] = ""


class DexProgram(Record):
    """`[dex]`: the login service that the server runs behind its own `/dex`. It needs `server.external_url`, since the
    addresses of its pages are made from it."""

    program: Annotated[
        str,
        rule(
            "Dex's executable; empty: people log in with their passwords here, or at the issuer of config.yaml.",
            example="/usr/local/bin/dex",
            restart=True,
        ),
    ] = ""
    listen: Annotated[str, rule("Where Dex itself listens; keep it on loopback.", restart=True, **patterns.address)] = (
        "127.0.0.1:5556"
    )
    telemetry: Annotated[str, rule("Where Dex's own metrics are.", restart=True, **patterns.address)] = "127.0.0.1:5558"
    storage: Annotated[str, rule("Dex's SQLite file; empty: dex/dex.db in the data directory.", restart=True)] = ""


class Settings(Record):
    """All of `danube.toml`. written: the keys that the file has, as `server.bind_address`: those go before config.yaml."""

    config_repo: Annotated[ConfigRepository, rule("Where the configuration is; all that is needed.")]
    server: Annotated[ServerSettings, rule("Addresses and directories.")] = field(default_factory=ServerSettings)
    runtime: Annotated[RuntimeSettings, rule("What makes pods.")] = field(default_factory=RuntimeSettings)
    sources: Annotated[SourceSettings, rule("Reading repositories.")] = field(default_factory=SourceSettings)
    egress: Annotated[EgressHosts, rule("The way out of pods.")] = field(default_factory=EgressHosts)
    tls: Annotated[TlsSettings, rule("The server's certificate.")] = field(default_factory=TlsSettings)
    dex: Annotated[DexProgram, rule("The login service.")] = field(default_factory=DexProgram)
    registry: Annotated[RegistrySettings, rule("A registry beside the server.")] = field(
        default_factory=RegistrySettings
    )
    images: Annotated[ImageSettings, rule("The store of images.")] = field(default_factory=ImageSettings)
    written: Annotated[frozenset[str], rule(internal=True)] = frozenset()


SHARED = ("bind_address", "data_dir", "external_url")
"""What both `danube.toml` and `config.yaml` may say of the server."""


def effective_settings(
    settings: ServerSettings, written: frozenset[str], config: ConfigSpec, flags: frozenset[str]
) -> ServerSettings:
    """The server's settings by precedence: what a flag said (`flags` names those), then danube.toml, then config.yaml.

    settings: from flags and file; `written` as in `Settings`. The data directory is never config.yaml's: who reads it has
    one already.
    """
    taken = {
        name: value
        for name in SHARED
        if name != "data_dir"
        and name not in flags
        and f"server.{name}" not in written
        and (value := getattr(config.server, name))
    }
    return replace(settings, **taken)


class PendingSetting(Record):
    """A setting that is not in force yet. running, configured: its values; hint: what brings it into force."""

    name: str
    running: str
    configured: str
    hint: str


def pending_settings(
    running: ServerSettings, written: frozenset[str], spec: ServerSpec, flags: frozenset[str]
) -> tuple[PendingSetting, ...]:
    """What config.yaml says of the server and what the running one does not do: because it needs a restart, or because
    a flag or danube.toml says otherwise."""
    found = []
    for name in SHARED:
        wanted, current = getattr(spec, name), getattr(running, name)
        if not wanted or wanted == current:
            continue
        if name in flags:
            hint = f"a flag of danube serve says {current}: leave it out, and restart"
        elif f"server.{name}" in written:
            hint = f"danube.toml says {current} and goes before config.yaml: make them the same"
        elif name == "data_dir":
            hint = "stop the server, move the directory, and write data_dir into danube.toml"
        else:
            hint = "restart the server: jobs go on meanwhile"
        found.append(PendingSetting(f"server.{name}", current, wanted, hint))
    return tuple(found)
