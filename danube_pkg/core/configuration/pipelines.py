"""Kind `Pipeline`: which code, when, with which bounds, and who may do what with it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from danube_pkg.core.configuration.notifications import Notification
from danube_pkg.core.documents import patterns
from danube_pkg.core.documents.marked import rule
from danube_pkg.core.identity.access import Level
from danube_pkg.core.runtimes.pods import HOST_IMAGE
from danube_pkg.kit.records import Record, field


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


class TriggerSpec(Record):
    """One trigger."""

    kind: Annotated[TriggerKind, rule("What starts the pipeline.", key="on", example="push")]
    schedule: Annotated[
        str, rule("With `on: cron`: five fields as crontab(5) has them, or @daily and its like.", example="0 3 * * *")
    ] = ""
    timezone: Annotated[
        str,
        rule(
            "With `on: cron`: a name of the IANA time zone database; UTC where none is named.",
            pattern=r"|[A-Za-z][A-Za-z0-9+_-]*(/[A-Za-z0-9+_-]+){0,2}",
            expects="the name of a time zone",
            example="Europe/Vienna",
        ),
    ] = ""
    jitter_seconds: Annotated[
        int,
        rule(
            "With `on: cron`: up to this many seconds later, the same for this pipeline each time.",
            at_least=0,
            at_most=3600,
        ),
    ] = 0
    pipeline: Annotated[str, rule("With `on: pipeline`: whose end starts this one.", pattern=f"|{patterns.NAME}")] = ""
    result: Annotated[PipelineEnd, rule("With `on: pipeline`: which end.")] = PipelineEnd.SUCCESS


class PermissionSpec(Record):
    """What one team may do; the owning team has admin without being named."""

    team: Annotated[str, rule("A team's name.")]
    level: Annotated[
        Level,
        rule("read sees, write starts and cancels, admin sets secrets; of admin only the team's admins make full use."),
    ]


class ResourceSpec(Record):
    """Bounds of the whole pod."""

    cpu: Annotated[float, rule("Cores; 0 is no bound of its own.", at_least=0, at_most=1024)] = 0.0
    memory_mb: Annotated[int, rule("Memory in MiB; 0 is no bound of its own.", at_least=0, at_most=16 * 1024**2)] = 0


class TolerationSpec(Record):
    """As Kubernetes has them."""

    key: Annotated[str, rule("The taint's key.")] = ""
    operator: Annotated[str, rule("Equal or Exists.", pattern="Equal|Exists", expects="Equal or Exists")] = "Equal"
    value: Annotated[str, rule("The taint's value, with Equal.")] = ""
    effect: Annotated[
        str,
        rule(
            "NoSchedule, PreferNoSchedule or NoExecute; all where none is named.",
            pattern="|NoSchedule|PreferNoSchedule|NoExecute",
            expects="one of NoSchedule, PreferNoSchedule, NoExecute",
        ),
    ] = ""


class ConcurrencySpec(Record):
    """At most one job of a group runs."""

    group: Annotated[
        str,
        rule(
            "The group's name, which several pipelines may share; ${branch} stands for the job's branch. Empty: the pipeline.",
            example="deploy-${branch}",
        ),
    ] = ""
    cancel_in_progress: Annotated[bool, rule("A newer job cancels the one before it.")] = False


class ParamSpec(Record):
    """One parameter of a manual start."""

    type: Annotated[ParamType, rule("What its value must be.")] = ParamType.TEXT
    default: Annotated[str | None, rule("Taken where none is given, in quotes; none: it must be given.")] = None
    choices: Annotated[tuple[str, ...], rule("With `type: choice`: the values that it may have.", most=100)] = ()
    description: Annotated[str, rule("For the person who starts the job.")] = ""


class PipelineSpec(Record):
    """Kind `Pipeline`: one danubefile, when it runs, with which bounds."""

    repository: Annotated[
        str,
        rule(
            "A Git repository's URL, or a directory of the server relative to the configuration's own.",
            pattern=r"\S(.*\S)?",
            expects="a URL or a directory",
            example="https://github.com/myorg/frontend",
        ),
    ]
    branch_filter: Annotated[
        tuple[str, ...],
        rule("Branches whose pushes count; * stops at /, ** does not. None named: all.", **patterns.branch),
    ] = ()
    triggers: Annotated[tuple[TriggerSpec, ...], rule("What starts it beside people.", most=50)] = ()
    paths: Annotated[
        tuple[str, ...], rule("Only changes of such files start it, for repositories of many.", **patterns.path)
    ] = ()
    paths_ignore: Annotated[
        tuple[str, ...], rule("Changes of nothing but such files do not start it.", **patterns.path)
    ] = ()
    script: Annotated[
        str,
        rule(
            "The danubefile in the repository.",
            pattern=r"(?!.*(^|/)\.\.(/|$))[^/\\].*",
            expects="a path inside the repository",
            example="danubefile.py",
        ),
    ] = "danubefile.py"
    image: Annotated[
        str,
        rule(
            "What steps run in unless they name another; `host` is the server's own programs.",
            pattern=r"\S+",
            expects="the name of an image",
            example="python:3.12",
        ),
    ] = HOST_IMAGE
    max_duration_seconds: Annotated[
        int,
        rule("Then the job is ended. An hour: a hanging one is noticed the same day.", at_least=1, at_most=7 * 86400),
    ] = 3600
    workspace_size_gb: Annotated[int, rule("Of /workspace, in GiB.", at_least=1, at_most=10_000)] = 5
    log_limit_mb: Annotated[int, rule("Of the log, in MiB.", at_least=1, at_most=10_000)] = 200
    max_concurrent_jobs: Annotated[
        int, rule("Of this pipeline; 0 is no bound of its own.", at_least=0, at_most=10_000)
    ] = 0
    priority: Annotated[int, rule("Among waiting jobs; the higher goes first.", at_least=-100, at_most=100)] = 0
    concurrency: Annotated[ConcurrencySpec | None, rule("Jobs that must not run beside each other.")] = None
    resources: Annotated[ResourceSpec, rule("Bounds of the whole pod.")] = field(default_factory=ResourceSpec)
    egress_allowlist: Annotated[
        tuple[str, ...], rule("Hosts that its jobs may reach, beside those of the server.", **patterns.egress)
    ] = ()
    params: Annotated[Mapping[str, ParamSpec], rule("Parameters of a manual start, by name.", most=50)] = field(
        default_factory=dict
    )
    run_as_root: Annotated[bool, rule("On Kubernetes: root in the container, in a namespace of its own.")] = False
    node_selector: Annotated[Mapping[str, str], rule("On Kubernetes: labels of the node.", most=20)] = field(
        default_factory=dict
    )
    tolerations: Annotated[tuple[TolerationSpec, ...], rule("On Kubernetes: taints to stand.", most=20)] = ()
    runtime_class: Annotated[
        str,
        rule(
            "On Kubernetes: the RuntimeClass.",
            pattern=r"|[a-z0-9]([a-z0-9.-]*[a-z0-9])?",
            expects="the name of a RuntimeClass",
        ),
    ] = ""
    permissions: Annotated[tuple[PermissionSpec, ...], rule("What other teams may do.")] = ()
    notifications: Annotated[tuple[Notification, ...], rule("Who is told how its jobs ended.")] = ()
    badge: Annotated[bool, rule("Whether its badge can be seen without a login.")] = False
