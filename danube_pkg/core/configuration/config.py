"""Kind `Config`: what holds for the whole server."""

from typing import Annotated

from danube_pkg.core.configuration.notifications import Notification
from danube_pkg.core.documents import patterns
from danube_pkg.core.documents.marked import rule
from danube_pkg.core.images.registries import RegistrySpec
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.repositories.git_authentication import GitAuthentication
from danube_pkg.kit.records import Record, field


class ServerSpec(Record):
    """The last in precedence: a flag of `danube serve` goes first, then danube.toml, then this."""

    bind_address: Annotated[
        str,
        rule(
            "Where HTTP is served.",
            restart=True,
            **(patterns.address | {"pattern": f"|{patterns.address['pattern']}", "example": "0.0.0.0:8080"}),
        ),
    ] = ""
    data_dir: Annotated[
        str,
        rule(
            "Where the server keeps its data. A running server cannot move: it says here where it should be.",
            pattern=r"|/.*",
            expects="an absolute path",
            example="/var/lib/danube",
            restart=True,
        ),
    ] = ""
    external_url: Annotated[
        str, rule("How people reach this server.", **(patterns.web_url | {"example": "https://ci.example.org"}))
    ] = ""


class KubernetesSpec(Record):
    """For the runtime `kubernetes`."""

    namespace: Annotated[
        str,
        rule(
            "Where jobs' pods are made.",
            pattern=r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
            expects="the name of a namespace",
            restart=True,
        ),
    ] = "danube-jobs"
    coordinator_image: Annotated[str, rule("What a pod's coordinator runs.", restart=True)] = (
        "danube-coordinator:latest"
    )


class RetentionSpec(Record):
    """How long things are kept, in days."""

    logs_days: Annotated[int, rule("Jobs' logs.", at_least=1, at_most=3650)] = 30
    artifacts_days: Annotated[int, rule("Jobs' artifacts.", at_least=1, at_most=3650)] = 14
    registry_images_days: Annotated[int, rule("Images of the local registry.", at_least=1, at_most=3650)] = 30


class ObservabilitySpec(Record):
    """What the server tells others of itself."""

    otel_endpoint: Annotated[
        str, rule("Where traces go (OTLP).", restart=True, **(patterns.web_url | {"example": "http://localhost:4317"}))
    ] = ""
    metrics_enabled: Annotated[bool, rule("Whether /metrics answers.")] = True
    traces_enabled: Annotated[bool, rule("Whether traces are sent.", restart=True)] = False


class WebhookSpec(Record):
    """Whose webhooks are believed."""

    forge: Annotated[Forge, rule("Which forge sends them.")]
    secrets: Annotated[
        tuple[str, ...],
        rule("Secrets with which it signs; several while one is being replaced.", most=8, **patterns.secret),
    ]


class SmtpSpec(Record):
    """Through which server mail is sent."""

    host: Annotated[str, rule("The mail server, with its port (587 where none is named).", **patterns.host)]
    sender: Annotated[str, rule("The sender's address.", key="from", **patterns.email)]
    username: Annotated[str, rule("With password_secret: the login.")] = ""
    password_secret: Annotated[str, rule("The secret with the password.", **patterns.secret)] = ""
    tls: Annotated[bool, rule("STARTTLS is demanded; false only for a server on this machine.")] = True


class OidcSpec(Record):
    """Login through an OpenID Connect issuer."""

    issuer: Annotated[str, rule("The issuer's URL, exactly as its tokens name it.", **patterns.web_url)]
    client_id: Annotated[str, rule("As the issuer knows Danube.")]
    client_secret_secret: Annotated[
        str, rule("The secret with the client's secret; none for a public client.", **patterns.secret)
    ] = ""
    scopes: Annotated[tuple[str, ...], rule("What is asked for.")] = ("openid", "email", "profile")
    groups_claim: Annotated[str, rule("The claim that lists a person's groups; teams name the ones they take.")] = ""


class AuthSpec(Record):
    """How people log in."""

    oidc: Annotated[OidcSpec | None, rule("An issuer; without one the users' own password hashes.")] = None


class ConfigSpec(Record):
    """Kind `Config`: what holds for the whole server. There is at most one."""

    server: Annotated[ServerSpec, rule("Addresses and directories.")] = field(default_factory=ServerSpec)
    kubernetes: Annotated[KubernetesSpec, rule("The cluster.")] = field(default_factory=KubernetesSpec)
    retention: Annotated[RetentionSpec, rule("How long things are kept.")] = field(default_factory=RetentionSpec)
    observability: Annotated[ObservabilitySpec, rule("Metrics and traces.")] = field(default_factory=ObservabilitySpec)
    max_concurrent_jobs: Annotated[
        int,
        rule("Jobs at the same time. Four is what a machine of two to four cores carries.", at_least=1, at_most=10_000),
    ] = 4
    egress_allowlist: Annotated[
        tuple[str, ...], rule("Hosts that every job may reach; anything else is refused.", **patterns.egress)
    ] = ()
    git_authentication: Annotated[
        tuple[GitAuthentication, ...], rule("Credentials for repositories, the first that matches wins.")
    ] = ()
    registries: Annotated[tuple[RegistrySpec, ...], rule("Registries of images that need a login.")] = ()
    webhooks: Annotated[tuple[WebhookSpec, ...], rule("Webhooks that are believed.")] = ()
    notifications: Annotated[
        tuple[Notification, ...], rule("Who is told of every pipeline's jobs, beside those of the pipeline.")
    ] = ()
    smtp: Annotated[SmtpSpec | None, rule("Needed for notifications by e-mail.")] = None
    auth: Annotated[AuthSpec, rule("How people log in.")] = field(default_factory=AuthSpec)
