"""Kind `Config`: what holds for the whole server."""

from typing import Annotated

from danube_pkg.core.artifacts.artifact import ArtifactBounds
from danube_pkg.core.caches.cache import CacheBounds
from danube_pkg.core.configuration.notifications import Notification
from danube_pkg.core.configuration.pipelines import CatchUp
from danube_pkg.core.documents import patterns
from danube_pkg.core.documents.marked import rule
from danube_pkg.core.images.registries import RegistrySpec
from danube_pkg.core.jobs.kept_pods import KeptPodBounds
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.repositories.git_authentication import GitAuthentication
from danube_pkg.core.retention.plan import DAY_SECONDS, RetentionLimit, RetentionPolicy
from danube_pkg.core.retention.registry import ImagePolicy
from danube_pkg.kit.records import Record, field


class ServerSpec(Record):
    """Settings of the server. A flag of `danube serve` takes precedence, then danube.toml, then these."""

    bind_address: Annotated[
        str,
        rule(
            "The address on which HTTP is served.",
            restart=True,
            **(patterns.address | {"pattern": f"|{patterns.address['pattern']}", "example": "0.0.0.0:8080"}),
        ),
    ] = ""
    data_dir: Annotated[
        str,
        rule(
            "The server's data directory. A running server does not move it: stop it, move the directory, change danube.toml.",
            pattern=r"|/.*",
            expects="an absolute path",
            example="/var/lib/danube",
            restart=True,
        ),
    ] = ""
    external_url: Annotated[
        str,
        rule(
            "The URL by which users reach this server.", **(patterns.site_url | {"example": "https://ci.example.org"})
        ),
    ] = ""


class KubernetesSpec(Record):
    """For the runtime `kubernetes`; what `[kubernetes]` of danube.toml has takes precedence."""

    namespace: Annotated[
        str,
        rule(
            "The namespace of the jobs' pods.",
            pattern=r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
            expects="the name of a namespace",
            restart=True,
        ),
    ] = "danube-jobs"
    coordinator_image: Annotated[
        str, rule("The image of the coordinator; empty: this version's own.", restart=True)
    ] = ""


class RetentionSpec(Record):
    """How long logs, artifacts, caches and images are kept. What belongs to a job that has not ended, or that a user
    keeps (`danube jobs keep`), stays."""

    logs_days: Annotated[int, rule("Logs and egress ledgers of ended jobs.", at_least=1, at_most=3650, unit="days")] = (
        30
    )
    artifacts_days: Annotated[int, rule("Artifacts of ended jobs.", at_least=1, at_most=3650, unit="days")] = 14
    registry_images_days: Annotated[
        int,
        rule(
            "Images of the registry that danube.toml names (`[registry] url`), counted from when Danube saw them first.",
            at_least=1,
            at_most=3650,
            unit="days",
        ),
    ] = 30
    registry_keep_count: Annotated[
        int,
        rule("So many of the newest images of each repository stay, whatever their age.", at_least=0, at_most=10_000),
    ] = ImagePolicy(0).keep_count
    registry_max_count: Annotated[
        int,
        rule("Images of one repository, above which the oldest are removed; 0: no limit.", at_least=0, at_most=100_000),
    ] = 0
    registry_pipeline_gb: Annotated[
        int,
        rule(
            "The size of all images of one pipeline, in the repositories `PIPELINE` and `PIPELINE/…`, above which the "
            "oldest are removed; 0: no limit.",
            at_least=0,
            at_most=1_000_000,
            unit="GiB",
        ),
    ] = 0
    registry_protected: Annotated[
        tuple[str, ...],
        rule("Patterns of tags whose images are never removed.", example="release-*", most=100),
    ] = ImagePolicy(0).protected
    logs_gb: Annotated[
        int,
        rule(
            "The size of all logs together, above which the oldest are removed; 0: no limit.",
            at_least=0,
            at_most=1_000_000,
            unit="GiB",
        ),
    ] = 0
    artifacts_gb: Annotated[
        int,
        rule(
            "The size of all artifacts together, above which the oldest are removed; 0: no limit.",
            at_least=0,
            at_most=1_000_000,
            unit="GiB",
        ),
    ] = 0
    caches_days: Annotated[
        int, rule("Caches, counted from when a job used them last.", at_least=1, at_most=3650, unit="days")
    ] = 14
    caches_gb: Annotated[
        int,
        rule(
            "The size of the caches of all pipelines together, above which the least recently used are removed; 0: no "
            "limit. Fifty: those of a few large pipelines.",
            at_least=0,
            at_most=1_000_000,
            unit="GiB",
        ),
    ] = 50
    removal_interval: Annotated[
        int,
        rule("The time between two removals. A day.", at_least=60, at_most=30 * 86400, unit="seconds"),
    ] = 86400

    @property
    def image_policy(self) -> ImagePolicy:
        """The limits of the images in the registry."""
        return ImagePolicy(
            self.registry_images_days * DAY_SECONDS,
            self.registry_keep_count,
            self.registry_max_count,
            self.registry_pipeline_gb << 30,
            self.registry_protected,
        )

    @property
    def policy(self) -> RetentionPolicy:
        """The limits of what jobs leave on the disk."""
        return RetentionPolicy(
            logs=RetentionLimit(self.logs_days * DAY_SECONDS, self.logs_gb << 30),
            artifacts=RetentionLimit(self.artifacts_days * DAY_SECONDS, self.artifacts_gb << 30),
            caches=RetentionLimit(self.caches_days * DAY_SECONDS, self.caches_gb << 30),
        )


class ObservabilitySpec(Record):
    """Metrics and traces of the server."""

    otel_endpoint: Annotated[
        str,
        rule(
            "The server that receives traces and metrics by OTLP over HTTP (port 4318 of most collectors); `/v1/traces` and "
            "`/v1/metrics` are added to an address without a path.",
            **(patterns.web_url | {"example": "http://localhost:4318"}),
        ),
    ] = ""
    metrics_enabled: Annotated[bool, rule("Whether /metrics is served.")] = True
    metrics_pipeline_names: Annotated[
        bool,
        rule(
            "Whether /metrics names pipelines and images without a token; otherwise those without a public badge are "
            "summed as `(private)`."
        ),
    ] = False
    metrics_push_enabled: Annotated[
        bool, rule("Whether metrics are sent to otel_endpoint too, with the names of all pipelines and images.")
    ] = False
    metrics_push_interval: Annotated[
        int,
        rule(
            "The time between two of these. A minute, as Prometheus' own default.",
            at_least=5,
            at_most=86400,
            unit="seconds",
        ),
    ] = 60
    traces_enabled: Annotated[bool, rule("Whether traces are sent, and steps get a TRACEPARENT.")] = False
    traces_sample_ratio: Annotated[
        float, rule("The share of traces that is sent: 1 for all of them, 0.1 for a tenth.", at_least=0, at_most=1)
    ] = 1.0


class WebhookSpec(Record):
    """Webhooks of one forge that are accepted."""

    forge: Annotated[Forge, rule("The forge that sends them.")]
    secrets: Annotated[
        tuple[str, ...],
        rule("The secrets that sign them; several while one is being replaced.", most=8, **patterns.secret),
    ] = ()
    manage: Annotated[
        bool,
        rule(
            "Whether the server makes and repairs the webhook of each pipeline's repository that a credential with "
            "`manage` matches, with a secret of its own."
        ),
    ] = False
    deploy_key: Annotated[
        bool, rule("With `manage`: whether repositories that are read over ssh get the server's key, to read only.")
    ] = False


class SmtpSpec(Record):
    """The mail server that sends notifications."""

    host: Annotated[str, rule("The mail server, with its port (587 without one).", **patterns.host)]
    sender: Annotated[str, rule("The sender's address.", key="from", **patterns.mail_address)]
    username: Annotated[str, rule("With password_secret: the user name.")] = ""
    password_secret: Annotated[str, rule("The secret with the password.", **patterns.secret)] = ""
    tls: Annotated[bool, rule("Require STARTTLS; false only for a server on this machine.")] = True


class OidcSpec(Record):
    """Login through an OpenID Connect issuer."""

    issuer: Annotated[str, rule("The issuer's URL, exactly as its tokens name it.", **patterns.web_url)]
    client_id: Annotated[str, rule("Danube's client id at the issuer.")]
    client_secret_secret: Annotated[
        str, rule("The secret with the client's secret; none for a public client.", **patterns.secret)
    ] = ""
    device_client_id: Annotated[
        str,
        rule(
            "The id of a public client for `danube login` by device code, at an issuer that lets no confidential client "
            "do that; without one client_id is used."
        ),
    ] = ""
    scopes: Annotated[tuple[str, ...], rule("The requested scopes.")] = ("openid", "email", "profile")
    groups_claim: Annotated[
        str, rule("The claim that lists a user's groups; teams name the groups that belong to them.")
    ] = ""


class AuthSpec(Record):
    """How users log in."""

    oidc: Annotated[OidcSpec | None, rule("An issuer; without one users log in with their passwords.")] = None


class ConfigSpec(Record):
    """Kind `Config`: what holds for the whole server. There is at most one."""

    server: Annotated[ServerSpec, rule("Addresses and directories.")] = field(default_factory=ServerSpec)
    kubernetes: Annotated[KubernetesSpec, rule("The cluster.")] = field(default_factory=KubernetesSpec)
    retention: Annotated[RetentionSpec, rule("How long logs, artifacts and images are kept.")] = field(
        default_factory=RetentionSpec
    )
    observability: Annotated[ObservabilitySpec, rule("Metrics and traces.")] = field(default_factory=ObservabilitySpec)
    max_concurrent_jobs: Annotated[
        int,
        rule(
            "Jobs that run at the same time. Four suits a machine with two to four cores.", at_least=1, at_most=10_000
        ),
    ] = 4
    max_artifacts_per_job: Annotated[int, rule("Artifacts that one job may keep.", at_least=1, at_most=100_000)] = (
        ArtifactBounds().count
    )
    max_artifacts_gb_per_job: Annotated[
        int, rule("The size in GiB of all artifacts of one job together.", at_least=1, at_most=100_000)
    ] = ArtifactBounds().total_bytes >> 30
    max_caches_gb_per_pipeline: Annotated[
        int,
        rule(
            "The size in GiB of all caches of one pipeline together; above it the least recently used make room.",
            at_least=1,
            at_most=100_000,
        ),
    ] = CacheBounds().pipeline_bytes >> 30
    max_kept_pods: Annotated[
        int,
        rule(
            "Pods of failed jobs that are kept at the same time for `danube shell`; above it the oldest are removed; 0: none"
            " is kept.",
            at_least=0,
            at_most=1000,
        ),
    ] = KeptPodBounds().count
    max_kept_pods_gb: Annotated[
        int,
        rule(
            "The size of all kept pods together, each counted with its pipeline's `workspace_size_gb`.",
            at_least=1,
            at_most=100_000,
            unit="GiB",
        ),
    ] = KeptPodBounds().total_bytes >> 30
    egress_allowlist: Annotated[
        tuple[str, ...], rule("Hosts that every job may reach; all others are denied.", **patterns.egress)
    ] = ()
    git_authentication: Annotated[
        tuple[GitAuthentication, ...], rule("Credentials for repositories; the first rule that matches is used.")
    ] = ()
    registries: Annotated[tuple[RegistrySpec, ...], rule("Credentials for image registries.")] = ()
    webhooks: Annotated[tuple[WebhookSpec, ...], rule("Webhooks that are accepted, by forge.")] = ()
    catch_up: Annotated[
        CatchUp, rule("The default of `catch_up` of pipelines: what happens to pushes that no webhook announced.")
    ] = CatchUp.BUILD
    notifications: Annotated[
        tuple[Notification, ...], rule("Notifications about the jobs of every pipeline, beside the pipeline's own.")
    ] = ()
    smtp: Annotated[SmtpSpec | None, rule("Needed for notifications by e-mail.")] = None
    auth: Annotated[AuthSpec, rule("How users log in.")] = field(default_factory=AuthSpec)

    @property
    def cache_bounds(self) -> CacheBounds:
        return CacheBounds(self.max_caches_gb_per_pipeline << 30)

    @property
    def kept_pod_bounds(self) -> KeptPodBounds:
        return KeptPodBounds(self.max_kept_pods, self.max_kept_pods_gb << 30)

    @property
    def artifact_bounds(self) -> ArtifactBounds:
        return ArtifactBounds(self.max_artifacts_per_job, self.max_artifacts_gb_per_job << 30)
