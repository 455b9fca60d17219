"""Kind `Pipeline`: which code, when, with which bounds, and who may do what with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from danube_pkg.core.configuration.notifications import Notification
from danube_pkg.core.documents import patterns
from danube_pkg.core.documents.marked import rule
from danube_pkg.core.identity.access import Level
from danube_pkg.core.runtimes.pods import HOST_IMAGE


class TriggerKind(StrEnum):
    """What starts a pipeline. `manual` is always possible; naming it says that nothing else does."""

    PUSH = "push"
    TAG = "tag"
    PULL_REQUEST = "pull_request"
    CRON = "cron"
    MANUAL = "manual"
    PIPELINE = "pipeline"


class ParamType(StrEnum):
    """What a parameter's value must be."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"


class PipelineEnd(StrEnum):
    """Which end of another pipeline starts this one."""

    SUCCESS = "success"
    FAILURE = "failure"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class TriggerSpec:
    """One trigger."""

    kind: TriggerKind = field(metadata=rule("What starts the pipeline.", key="on", example="push"))
    schedule: str = field(
        default="",
        metadata=rule(
            "With `on: cron`: five fields as crontab(5) has them, or @daily and its like.", example="0 3 * * *"
        ),
    )
    timezone: str = field(
        default="",
        metadata=rule(
            "With `on: cron`: a name of the IANA time zone database; UTC where none is named.",
            pattern=r"|[A-Za-z][A-Za-z0-9+_-]*(/[A-Za-z0-9+_-]+){0,2}",
            expects="the name of a time zone",
            example="Europe/Vienna",
        ),
    )
    jitter_seconds: int = field(
        default=0,
        metadata=rule(
            "With `on: cron`: up to this many seconds later, the same for this pipeline each time.",
            at_least=0,
            at_most=3600,
        ),
    )
    pipeline: str = field(
        default="", metadata=rule("With `on: pipeline`: whose end starts this one.", pattern=f"|{patterns.NAME}")
    )
    result: PipelineEnd = field(default=PipelineEnd.SUCCESS, metadata=rule("With `on: pipeline`: which end."))


@dataclass(frozen=True, slots=True)
class PermissionSpec:
    """What one team may do; the owning team has admin without being named."""

    team: str = field(metadata=rule("A team's name."))
    level: Level = field(
        metadata=rule(
            "read sees, write starts and cancels, admin sets secrets; of admin only the team's admins make full use."
        )
    )


@dataclass(frozen=True, slots=True)
class ResourceSpec:
    """Bounds of the whole pod."""

    cpu: float = field(default=0.0, metadata=rule("Cores; 0 is no bound of its own.", at_least=0, at_most=1024))
    memory_mb: int = field(
        default=0, metadata=rule("Memory in MiB; 0 is no bound of its own.", at_least=0, at_most=16 * 1024**2)
    )


@dataclass(frozen=True, slots=True)
class TolerationSpec:
    """As Kubernetes has them."""

    key: str = field(default="", metadata=rule("The taint's key."))
    operator: str = field(
        default="Equal", metadata=rule("Equal or Exists.", pattern="Equal|Exists", expects="Equal or Exists")
    )
    value: str = field(default="", metadata=rule("The taint's value, with Equal."))
    effect: str = field(
        default="",
        metadata=rule(
            "NoSchedule, PreferNoSchedule or NoExecute; all where none is named.",
            pattern="|NoSchedule|PreferNoSchedule|NoExecute",
            expects="one of NoSchedule, PreferNoSchedule, NoExecute",
        ),
    )


@dataclass(frozen=True, slots=True)
class ConcurrencySpec:
    """At most one job of a group runs."""

    group: str = field(
        default="",
        metadata=rule(
            "The group's name, which several pipelines may share; ${branch} stands for the job's branch. Empty: the pipeline.",
            example="deploy-${branch}",
        ),
    )
    cancel_in_progress: bool = field(default=False, metadata=rule("A newer job cancels the one before it."))


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """One parameter of a manual start."""

    type: ParamType = field(default=ParamType.TEXT, metadata=rule("What its value must be."))
    default: str | None = field(
        default=None, metadata=rule("Taken where none is given, in quotes; none: it must be given.")
    )
    choices: tuple[str, ...] = field(
        default=(), metadata=rule("With `type: choice`: the values that it may have.", most=100)
    )
    description: str = field(default="", metadata=rule("For the person who starts the job."))


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """Kind `Pipeline`: one danubefile, when it runs, with which bounds."""

    repository: str = field(
        metadata=rule(
            "A Git repository's URL, or a directory of the server relative to the configuration's own.",
            pattern=r"\S(.*\S)?",
            expects="a URL or a directory",
            example="https://github.com/myorg/frontend",
        )
    )
    branch_filter: tuple[str, ...] = field(
        default=(),
        metadata=rule("Branches whose pushes count; * stops at /, ** does not. None named: all.", **patterns.branch),
    )
    triggers: tuple[TriggerSpec, ...] = field(default=(), metadata=rule("What starts it beside people.", most=50))
    paths: tuple[str, ...] = field(
        default=(), metadata=rule("Only changes of such files start it, for repositories of many.", **patterns.path)
    )
    paths_ignore: tuple[str, ...] = field(
        default=(), metadata=rule("Changes of nothing but such files do not start it.", **patterns.path)
    )
    script: str = field(
        default="danubefile.py",
        metadata=rule(
            "The danubefile in the repository.",
            pattern=r"(?!.*(^|/)\.\.(/|$))[^/\\].*",
            expects="a path inside the repository",
            example="danubefile.py",
        ),
    )
    image: str = field(
        default=HOST_IMAGE,
        metadata=rule(
            "What steps run in unless they name another; `host` is the server's own programs.",
            pattern=r"\S+",
            expects="the name of an image",
            example="python:3.12",
        ),
    )
    max_duration_seconds: int = field(
        default=3600,
        metadata=rule(
            "Then the job is ended. An hour: a hanging one is noticed the same day.", at_least=1, at_most=7 * 86400
        ),
    )
    workspace_size_gb: int = field(default=5, metadata=rule("Of /workspace, in GiB.", at_least=1, at_most=10_000))
    log_limit_mb: int = field(default=200, metadata=rule("Of the log, in MiB.", at_least=1, at_most=10_000))
    max_concurrent_jobs: int = field(
        default=0, metadata=rule("Of this pipeline; 0 is no bound of its own.", at_least=0, at_most=10_000)
    )
    priority: int = field(
        default=0, metadata=rule("Among waiting jobs; the higher goes first.", at_least=-100, at_most=100)
    )
    concurrency: ConcurrencySpec | None = field(
        default=None, metadata=rule("Jobs that must not run beside each other.")
    )
    resources: ResourceSpec = field(default_factory=ResourceSpec, metadata=rule("Bounds of the whole pod."))
    egress_allowlist: tuple[str, ...] = field(
        default=(), metadata=rule("Hosts that its jobs may reach, beside those of the server.", **patterns.egress)
    )
    params: Mapping[str, ParamSpec] = field(
        default_factory=dict, metadata=rule("Parameters of a manual start, by name.", most=50)
    )
    run_as_root: bool = field(
        default=False, metadata=rule("On Kubernetes: root in the container, in a namespace of its own.")
    )
    node_selector: Mapping[str, str] = field(
        default_factory=dict, metadata=rule("On Kubernetes: labels of the node.", most=20)
    )
    tolerations: tuple[TolerationSpec, ...] = field(
        default=(), metadata=rule("On Kubernetes: taints to stand.", most=20)
    )
    runtime_class: str = field(
        default="",
        metadata=rule(
            "On Kubernetes: the RuntimeClass.",
            pattern=r"|[a-z0-9]([a-z0-9.-]*[a-z0-9])?",
            expects="the name of a RuntimeClass",
        ),
    )
    permissions: tuple[PermissionSpec, ...] = field(default=(), metadata=rule("What other teams may do."))
    notifications: tuple[Notification, ...] = field(default=(), metadata=rule("Who is told how its jobs ended."))
    badge: bool = field(default=False, metadata=rule("Whether its badge can be seen without a login."))
