"""Kind `Config`: what holds for the whole server."""

from dataclasses import dataclass, field

from danube_pkg.core.configuration.notifications import Notification
from danube_pkg.core.documents import patterns
from danube_pkg.core.documents.marked import rule
from danube_pkg.core.images.registries import RegistrySpec
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.repositories.git_authentication import GitAuthentication


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """The last in precedence: a flag of `danube serve` goes first, then danube.toml, then this."""

    bind_address: str = field(
        default="",
        metadata=rule(
            "Where HTTP is served.",
            restart=True,
            **(patterns.address | {"pattern": f"|{patterns.address['pattern']}", "example": "0.0.0.0:8080"}),
        ),
    )
    data_dir: str = field(
        default="",
        metadata=rule(
            "Where the server keeps its data. A running server cannot move: it says here where it should be.",
            pattern=r"|/.*",
            expects="an absolute path",
            example="/var/lib/danube",
            restart=True,
        ),
    )
    external_url: str = field(
        default="",
        metadata=rule("How people reach this server.", **(patterns.web_url | {"example": "https://ci.example.org"})),
    )


@dataclass(frozen=True, slots=True)
class KubernetesSpec:
    """For the runtime `kubernetes`."""

    namespace: str = field(
        default="danube-jobs",
        metadata=rule(
            "Where jobs' pods are made.",
            pattern=r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
            expects="the name of a namespace",
            restart=True,
        ),
    )
    coordinator_image: str = field(
        default="danube-coordinator:latest", metadata=rule("What a pod's coordinator runs.", restart=True)
    )


@dataclass(frozen=True, slots=True)
class RetentionSpec:
    """How long things are kept, in days."""

    logs_days: int = field(default=30, metadata=rule("Jobs' logs.", at_least=1, at_most=3650))
    artifacts_days: int = field(default=14, metadata=rule("Jobs' artifacts.", at_least=1, at_most=3650))
    registry_images_days: int = field(
        default=30, metadata=rule("Images of the local registry.", at_least=1, at_most=3650)
    )


@dataclass(frozen=True, slots=True)
class ObservabilitySpec:
    """What the server tells others of itself."""

    otel_endpoint: str = field(
        default="",
        metadata=rule(
            "Where traces go (OTLP).", restart=True, **(patterns.web_url | {"example": "http://localhost:4317"})
        ),
    )
    metrics_enabled: bool = field(default=True, metadata=rule("Whether /metrics answers."))
    traces_enabled: bool = field(default=False, metadata=rule("Whether traces are sent.", restart=True))


@dataclass(frozen=True, slots=True)
class WebhookSpec:
    """Whose webhooks are believed."""

    forge: Forge = field(metadata=rule("Which forge sends them."))
    secrets: tuple[str, ...] = field(
        metadata=rule("Secrets with which it signs; several while one is being replaced.", most=8, **patterns.secret)
    )


@dataclass(frozen=True, slots=True)
class SmtpSpec:
    """Through which server mail is sent."""

    host: str = field(metadata=rule("The mail server, with its port (587 where none is named).", **patterns.host))
    sender: str = field(metadata=rule("The sender's address.", key="from", **patterns.email))
    username: str = field(default="", metadata=rule("With password_secret: the login."))
    password_secret: str = field(default="", metadata=rule("The secret with the password.", **patterns.secret))
    tls: bool = field(default=True, metadata=rule("STARTTLS is demanded; false only for a server on this machine."))


@dataclass(frozen=True, slots=True)
class OidcSpec:
    """Login through an OpenID Connect issuer."""

    issuer: str = field(metadata=rule("The issuer's URL, exactly as its tokens name it.", **patterns.web_url))
    client_id: str = field(metadata=rule("As the issuer knows Danube."))
    client_secret_secret: str = field(
        default="", metadata=rule("The secret with the client's secret; none for a public client.", **patterns.secret)
    )
    scopes: tuple[str, ...] = field(default=("openid", "email", "profile"), metadata=rule("What is asked for."))
    groups_claim: str = field(
        default="", metadata=rule("The claim that lists a person's groups; teams name the ones they take.")
    )


@dataclass(frozen=True, slots=True)
class AuthSpec:
    """How people log in."""

    oidc: OidcSpec | None = field(default=None, metadata=rule("An issuer; without one the users' own password hashes."))


@dataclass(frozen=True, slots=True)
class ConfigSpec:
    """Kind `Config`: what holds for the whole server. There is at most one."""

    server: ServerSpec = field(default_factory=ServerSpec, metadata=rule("Addresses and directories."))
    kubernetes: KubernetesSpec = field(default_factory=KubernetesSpec, metadata=rule("The cluster."))
    retention: RetentionSpec = field(default_factory=RetentionSpec, metadata=rule("How long things are kept."))
    observability: ObservabilitySpec = field(default_factory=ObservabilitySpec, metadata=rule("Metrics and traces."))
    max_concurrent_jobs: int = field(
        default=4,
        metadata=rule(
            "Jobs at the same time. Four is what a machine of two to four cores carries.", at_least=1, at_most=10_000
        ),
    )
    egress_allowlist: tuple[str, ...] = field(
        default=(), metadata=rule("Hosts that every job may reach; anything else is refused.", **patterns.egress)
    )
    git_authentication: tuple[GitAuthentication, ...] = field(
        default=(), metadata=rule("Credentials for repositories, the first that matches wins.")
    )
    registries: tuple[RegistrySpec, ...] = field(default=(), metadata=rule("Registries of images that need a login."))
    webhooks: tuple[WebhookSpec, ...] = field(default=(), metadata=rule("Webhooks that are believed."))
    notifications: tuple[Notification, ...] = field(
        default=(), metadata=rule("Who is told of every pipeline's jobs, beside those of the pipeline.")
    )
    smtp: SmtpSpec | None = field(default=None, metadata=rule("Needed for notifications by e-mail."))
    auth: AuthSpec = field(default_factory=AuthSpec, metadata=rule("How people log in."))
