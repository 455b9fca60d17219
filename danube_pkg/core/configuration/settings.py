"""The settings in `danube.toml`: what a server must know before it can read its configuration repository.

Each field has its unit and the reason of its default. Paths are as in the file until
`danube_pkg.adapters.configuration` makes them absolute, relative to the file. `effective_settings` merges flags,
`danube.toml` and `config.yaml`.
"""

from enum import StrEnum
from typing import Annotated

from danube_pkg.core.configuration.cluster_settings import ClusterSettings
from danube_pkg.core.configuration.config import ConfigSpec, ServerSpec
from danube_pkg.core.configuration.egress_settings import EgressSection
from danube_pkg.core.configuration.registry_settings import RegistrySettings
from danube_pkg.core.documents import patterns
from danube_pkg.core.documents.marked import rule
from danube_pkg.core.repositories.revisions import GitProgram
from danube_pkg.core.secrets.outside import SecretSettings
from danube_pkg.kit.records import Record, field, replace


class RuntimeKind(StrEnum):
    """What makes pods; `auto` is Kubernetes where a cluster is configured, the sandbox otherwise."""

    AUTO = "auto"
    KUBERNETES = "kubernetes"
    SANDBOX = "sandbox"


class ConfigRepository(Record):
    """`[config_repo]`: the repository of the configuration."""

    url: Annotated[
        str,
        rule(
            "A directory (relative to danube.toml) or a Git repository by ssh, https or a local path.",
            example='"https://git.example.org/ops/danube-config.git"',
        ),
    ]
    branch: Annotated[str, rule("The branch that is read; empty: the repository's default branch.")] = ""
    sync_interval: Annotated[
        int,
        rule(
            "The time between two reads. A minute: soon enough beside webhooks, without burdening the forge.",
            at_least=1,
            at_most=86400,
            unit="seconds",
        ),
    ] = 60
    username: Annotated[str, rule("With token_secret: the user name; many forges accept any.")] = "git"
    token_secret: Annotated[
        str,
        rule(
            "For https: the secret with the token. It can be set before the first sync: danube secrets set.",
            **patterns.secret,
        ),
    ] = ""


class ServerSettings(Record):
    """`[server]`: addresses are `HOST:PORT`; port 0 is any free port."""

    bind_address: Annotated[
        str,
        rule(
            "The address on which HTTP is served. Loopback, so that a server is only reachable from outside by choice.",
            restart=True,
            **(patterns.address | {"example": "127.0.0.1:8080"}),
        ),
    ] = "127.0.0.1:8080"
    data_dir: Annotated[str, rule("The directory of all data.", restart=True)] = "/var/lib/danube"
    grpc_address: Annotated[
        str,
        rule(
            "The address to which coordinators in a cluster connect; empty: only a unix socket, which the sandbox uses.",
            restart=True,
            **(patterns.maybe_address | {"example": "0.0.0.0:9090"}),
        ),
    ] = ""
    advertise_address: Annotated[
        str,
        rule(
            "The address by which coordinators in a cluster reach grpc_address; empty: the same. A name is resolved by the"
            " server, since pods have no DNS.",
            restart=True,
            **(patterns.maybe_address | {"example": "danube.example.org:9090"}),
        ),
    ] = ""
    external_url: Annotated[
        str,
        rule(
            "The URL by which users reach this server; empty: the address of each request.",
            **(patterns.site_url | {"example": "https://ci.example.org"}),
        ),
    ] = ""
    trusted_proxies: Annotated[
        tuple[str, ...],
        rule(
            "Reverse proxies on other machines, whose X-Forwarded-For is believed. One on this machine is believed where "
            "external_url is set.",
            most=32,
            **patterns.network,
        ),
    ] = ()


class RuntimeSettings(Record):
    """`[runtime]`: what makes pods."""

    kind: Annotated[
        RuntimeKind,
        rule(
            "auto: Kubernetes where kubeconfig is set, where the server runs in a pod with a service account, or on the K3s"
            " that was installed with Danube; else the sandbox.",
            restart=True,
        ),
    ] = RuntimeKind.AUTO
    kubeconfig: Annotated[
        str,
        rule(
            "The file with the access to the cluster; empty: the server's own service account, or the installed K3s.",
            example="/etc/danube/kubeconfig",
            restart=True,
        ),
    ] = ""
    host_paths: Annotated[
        tuple[str, ...],
        rule(
            "Directories and files that the image `host` contains beside the machine's programs; `bin` below one is in PATH. "
            "Every job can read them.",
            pattern=r"/.+",
            expects="an absolute path",
            example="/opt/toolchain",
            restart=True,
        ),
    ] = ()


class SourceSettings(Record):
    """`[sources]`: how application repositories are read."""

    git: Annotated[GitProgram, rule("What fetches: dulwich, or the host's git.")] = GitProgram.DULWICH
    mirrors_limit_gb: Annotated[
        int,
        rule(
            "The size limit of repos/; above it the least recently used are removed. Twenty: hundreds of usual repositories.",
            at_least=1,
            at_most=10_000,
            unit="GiB",
        ),
    ] = 20


class HostImage(StrEnum):
    """Whether pipelines may use the image `host`, the machine's own programs."""

    ALLOW = "allow"
    REFUSE = "refuse"


class ImageSettings(Record):
    """`[images]`: the store of unpacked images, and whether the machine's own programs are one."""

    store_gb: Annotated[
        int,
        rule(
            "The size limit of images; above it the least recently used are removed. Forty: a few dozen usual images.",
            at_least=1,
            at_most=100_000,
            unit="GiB",
            restart=True,
        ),
    ] = 40
    host: Annotated[
        HostImage,
        rule(
            "Whether steps may use the image `host`: the machine's own programs. `danube install` writes `refuse`, since jobs"
            " of a server then do not depend on what is installed there.",
            restart=True,
        ),
    ] = HostImage.ALLOW


class TlsSettings(Record):
    """`[tls]`: PEM files of the server's certificate and key; both or neither."""

    certificate: Annotated[str, rule("The certificate with its chain.", restart=True)] = ""
    key: Annotated[str, rule("Its private key.", restart=True)] = ""


class DexProgram(Record):
    """`[dex]`: the login service that the server runs behind its own `/dex`. It needs `server.external_url`, since the
    addresses of its pages are made from it."""

    program: Annotated[
        str,
        rule(
            "Dex's executable; empty: users log in with their passwords here, or at the issuer in config.yaml.",
            example="/usr/local/bin/dex",
            restart=True,
        ),
    ] = ""
    listen: Annotated[
        str, rule("The address on which Dex listens; keep it on loopback.", restart=True, **patterns.address)
    ] = "127.0.0.1:5556"
    telemetry: Annotated[str, rule("The address of Dex's metrics.", restart=True, **patterns.address)] = (
        "127.0.0.1:5558"
    )
    storage: Annotated[str, rule("Dex's SQLite file; empty: dex/dex.db in the data directory.", restart=True)] = ""


class LogSettings(Record):
    """`[logs]`: what the logs of jobs mask beside secrets."""

    mask_token_formats: Annotated[
        bool,
        rule(
            "Mask tokens of known formats too: AWS, GitHub, GitLab, Slack, JSON Web Tokens, private keys.",
            restart=True,
        ),
    ] = True
    mask_emails: Annotated[bool, rule("Mask e-mail addresses too. The server's own log always does.", restart=True)] = (
        False
    )


class Settings(Record):
    """All of `danube.toml`. written: the keys in the file, as `server.bind_address`; they take precedence over
    config.yaml."""

    config_repo: Annotated[ConfigRepository, rule("The repository of the configuration; the only required table.")]
    server: Annotated[ServerSettings, rule("Addresses and directories.")] = field(default_factory=ServerSettings)
    runtime: Annotated[RuntimeSettings, rule("What makes pods.")] = field(default_factory=RuntimeSettings)
    kubernetes: Annotated[ClusterSettings, rule("Pods in a cluster.")] = field(default_factory=ClusterSettings)
    sources: Annotated[SourceSettings, rule("Reading repositories.")] = field(default_factory=SourceSettings)
    egress: Annotated[EgressSection, rule("Connections from pods.")] = field(default_factory=EgressSection)
    tls: Annotated[TlsSettings, rule("The server's certificate.")] = field(default_factory=TlsSettings)
    dex: Annotated[DexProgram, rule("The login service.")] = field(default_factory=DexProgram)
    registry: Annotated[RegistrySettings, rule("A registry beside the server.")] = field(
        default_factory=RegistrySettings
    )
    images: Annotated[ImageSettings, rule("The store of images.")] = field(default_factory=ImageSettings)
    secrets: Annotated[SecretSettings, rule("Secrets that are kept elsewhere.")] = field(default_factory=SecretSettings)
    logs: Annotated[LogSettings, rule("Logs of jobs.")] = field(default_factory=LogSettings)
    written: Annotated[frozenset[str], rule(internal=True)] = frozenset()


SHARED = ("bind_address", "data_dir", "external_url")
"""The settings of the server that both `danube.toml` and `config.yaml` may have."""


def effective_settings(
    settings: ServerSettings, written: frozenset[str], config: ConfigSpec, flags: frozenset[str]
) -> ServerSettings:
    """The server's settings by precedence: flags, then danube.toml, then config.yaml.

    settings: from flags and file. written: as in `Settings`. flags: the names of settings that a flag has set. The data
    directory is never taken from config.yaml, since that is read after the directory was opened.
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
    """A setting in config.yaml that is not effective. running, configured: its two values. hint: what makes it
    effective."""

    name: str
    running: str
    configured: str
    hint: str


def pending_settings(
    running: ServerSettings, written: frozenset[str], spec: ServerSpec, flags: frozenset[str]
) -> tuple[PendingSetting, ...]:
    """Server settings in config.yaml that the running server does not use: they need a restart, or a flag or
    danube.toml takes precedence."""
    found = []
    for name in SHARED:
        wanted, current = getattr(spec, name), getattr(running, name)
        if not wanted or wanted == current:
            continue
        if name in flags:
            hint = f"a flag of danube serve sets {current}: leave it out, and restart"
        elif f"server.{name}" in written:
            hint = f"danube.toml sets {current} and takes precedence over config.yaml: make them the same"
        elif name == "data_dir":
            hint = "stop the server, move the directory, and write data_dir into danube.toml"
        else:
            hint = "restart the server; jobs keep running"
        found.append(PendingSetting(f"server.{name}", current, wanted, hint))
    return tuple(found)
