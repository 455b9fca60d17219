"""Kind `Pipeline`: its repository, triggers, limits and permissions."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from danube_pkg.core.configuration.environments import EnvironmentSpec
from danube_pkg.core.configuration.notifications import Notification
from danube_pkg.core.documents import patterns
from danube_pkg.core.documents.marked import rule
from danube_pkg.core.identity.access import Level
from danube_pkg.core.pipelines import GRACE_SECONDS, MAX_KEPT_SECONDS
from danube_pkg.core.runtimes.pods import HOST_IMAGE
from danube_pkg.kit.records import Record, field


class TriggerKind(StrEnum):
    """What starts a pipeline. A manual start is always possible; `manual` alone documents that nothing else does."""

    PUSH = "push"
    TAG = "tag"
    PULL_REQUEST = "pull_request"
    CRON = "cron"
    MANUAL = "manual"
    PIPELINE = "pipeline"


class CatchUp(StrEnum):
    """What happens to a branch or tag that moved and that no delivery announced."""

    BUILD = "build"
    LIST = "list"
    OFF = "off"


class ParamType(StrEnum):
    """The type of a parameter's value."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"


class PipelineEnd(StrEnum):
    """Which ends of another pipeline's jobs start this one."""

    SUCCESS = "success"
    FAILURE = "failure"
    ALWAYS = "always"


class TriggerSpec(Record):
    """One trigger."""

    kind: Annotated[TriggerKind, rule("What starts the pipeline.", key="on", example="push")]
    schedule: Annotated[
        str, rule("With `on: cron`: five fields as in crontab(5), or a nickname such as @daily.", example="0 3 * * *")
    ] = ""
    timezone: Annotated[
        str,
        rule(
            "With `on: cron`: a name of the IANA time zone database; UTC by default.",
            pattern=r"|[A-Za-z][A-Za-z0-9+_-]*(/[A-Za-z0-9+_-]+){0,2}",
            expects="the name of a time zone",
            example="Europe/Vienna",
        ),
    ] = ""
    jitter_seconds: Annotated[
        int,
        rule(
            "With `on: cron`: the longest delay; a pipeline has the same delay each time.",
            at_least=0,
            at_most=3600,
            unit="seconds",
        ),
    ] = 0
    pipeline: Annotated[
        str, rule("With `on: pipeline`: the pipeline whose end starts this one.", pattern=f"|{patterns.NAME}")
    ] = ""
    result: Annotated[PipelineEnd, rule("With `on: pipeline`: which end.")] = PipelineEnd.SUCCESS
    labels: Annotated[
        tuple[str, ...],
        rule(
            "With `on: pull_request`: only requests that have one of these labels, also when it is added; * stands for any"
            " text.",
            pattern=r"\S(.*\S)?",
            expects="a label",
            most=50,
            example="run-tests",
        ),
    ] = ()
    skip_drafts: Annotated[
        bool, rule("With `on: pull_request`: whether drafts start nothing, until they are ready for review.")
    ] = False


class PermissionSpec(Record):
    """What one team may do; the owning team always has admin."""

    team: Annotated[str, rule("A team's name.")]
    level: Annotated[
        Level,
        rule(
            "read: see jobs; write: also start and cancel them; admin: also set secrets, which only the team's admins may."
        ),
    ]


class ResourceSpec(Record):
    """Limits of the whole pod."""

    cpu: Annotated[float, rule("CPU cores; 0: no limit for the pipeline.", at_least=0, at_most=1024)] = 0.0
    memory_mb: Annotated[
        int,
        rule(
            "Memory; 0: half of what all pods of the machine may use together.",
            at_least=0,
            at_most=16 * 1024**2,
            unit="MiB",
        ),
    ] = 0


class TolerationSpec(Record):
    """A toleration of Kubernetes."""

    key: Annotated[str, rule("The taint's key.")] = ""
    operator: Annotated[str, rule("Equal or Exists.", pattern="Equal|Exists", expects="Equal or Exists")] = "Equal"
    value: Annotated[str, rule("The taint's value, with Equal.")] = ""
    effect: Annotated[
        str,
        rule(
            "NoSchedule, PreferNoSchedule or NoExecute; empty: all effects.",
            pattern="|NoSchedule|PreferNoSchedule|NoExecute",
            expects="one of NoSchedule, PreferNoSchedule, NoExecute",
        ),
    ] = ""

    def as_of_the_api(self) -> Mapping[str, str]:
        """Without the fields that are empty."""
        fields = {"key": self.key, "operator": self.operator, "value": self.value, "effect": self.effect}
        return {name: value for name, value in fields.items() if value}


class ApprovalWaiver(StrEnum):
    """Which untrusted pull requests run without an approval. They get no secrets all the same."""

    NONE = "none"
    MEMBERS = "members"


class CloneSpec(Record):
    """How much history a job's `.git` has. Branches of others are never part of it."""

    depth: Annotated[
        int,
        rule(
            "Commits from the job's commit back, as `git clone --depth`; `full`: all of them. With more than one, or"
            " with tags, the job of a pull request has its target branch too, as origin/BRANCH.",
            at_least=1,
            at_most=500_000,
            words={"full": 0},
            example="50",
        ),
    ] = 1
    tags: Annotated[bool, rule("Whether it has the tags of these commits, for `git describe`.")] = False


class ConcurrencySpec(Record):
    """A concurrency group, of which at most one job runs."""

    group: Annotated[
        str,
        rule(
            "The group's name, which pipelines may share; ${branch} is the job's branch. Empty: a group of this pipeline.",
            example="deploy-${branch}",
        ),
    ] = ""
    cancel_in_progress: Annotated[bool, rule("Whether a newer job cancels the older ones of its group.")] = False


class ParamSpec(Record):
    """One parameter of a manual start."""

    type: Annotated[ParamType, rule("The type of its value.")] = ParamType.TEXT
    default: Annotated[str | None, rule("The default, in quotes; a parameter without one is required.")] = None
    choices: Annotated[tuple[str, ...], rule("With `type: choice`: the allowed values.", most=100)] = ()
    description: Annotated[str, rule("Shown to users who start a job.")] = ""


class PipelineSpec(Record):
    """Kind `Pipeline`: one danubefile with its triggers, limits and permissions."""

    repository: Annotated[
        str,
        rule(
            "The URL of a Git repository, or a directory on the server, relative to the configuration's directory.",
            pattern=r"\S(.*\S)?",
            expects="a URL or a directory",
            example="https://github.com/myorg/frontend",
        ),
    ]
    branch_filter: Annotated[
        tuple[str, ...],
        rule("Branches whose pushes start it; * does not match /, ** does. Empty: all branches.", **patterns.branch),
    ] = ()
    triggers: Annotated[tuple[TriggerSpec, ...], rule("What starts it, besides manual starts.", most=50)] = ()
    paths: Annotated[
        tuple[str, ...],
        rule("Only changes of such files start it; for repositories with several projects.", **patterns.path),
    ] = ()
    paths_ignore: Annotated[tuple[str, ...], rule("Changes of only such files do not start it.", **patterns.path)] = ()
    catch_up: Annotated[
        CatchUp | None,
        rule(
            "What the hourly comparison with the repository does about pushes and tags that no webhook announced: build "
            "the newest commit of each, list it in `danube deliveries`, or nothing. Without it that of config.yaml."
        ),
    ] = None
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
            "The image of steps that name none; `host` provides the programs of the server's machine.",
            pattern=r"\S+",
            expects="the name of an image",
            example="python:3.12",
        ),
    ] = HOST_IMAGE
    env: Annotated[
        Mapping[str, str],
        rule(
            "Environment variables of each step, by name. Readers of the configuration see the values:"
            " what must not be seen is a secret.",
            pattern=r"[^\x00]{0,4096}",
            expects="text of at most 4096 characters",
            most=100,
        ),
    ] = field(default_factory=dict)
    max_duration_seconds: Annotated[
        int,
        rule(
            "A job's time limit. An hour: a job that hangs is noticed the same day.",
            at_least=1,
            at_most=7 * 86400,
            unit="seconds",
        ),
    ] = 3600
    grace_seconds: Annotated[
        int,
        rule(
            "How long a job that was cancelled or has reached its time limit may upload artifacts and run steps with"
            " `cleanup=True`; 0: it ends at once, as with a second cancel.",
            at_least=0,
            at_most=600,
            unit="seconds",
        ),
    ] = GRACE_SECONDS
    keep_failed_seconds: Annotated[
        int,
        rule(
            "How long the pod of a failed job is kept, without a network, for `danube shell`; 0: not at all. Never that of"
            " an untrusted proposal. The server's `max_kept_pods` bounds how many are kept.",
            at_least=0,
            at_most=MAX_KEPT_SECONDS,
            unit="seconds",
        ),
    ] = 0
    workspace_size_gb: Annotated[
        int,
        rule(
            "The size limit of all that a job writes to the disk, in /workspace and elsewhere.",
            at_least=1,
            at_most=10_000,
            unit="GiB",
        ),
    ] = 5
    log_limit_mb: Annotated[
        int,
        rule(
            "The size limit of the log. Beyond it the last 16 KiB of each step are kept.",
            at_least=1,
            at_most=10_000,
            unit="MiB",
        ),
    ] = 200
    max_concurrent_jobs: Annotated[
        int,
        rule(
            "Jobs of this pipeline that run at the same time; 0: only the server's limit.", at_least=0, at_most=10_000
        ),
    ] = 0
    priority: Annotated[
        int, rule("The priority of its waiting jobs; higher numbers start first.", at_least=-100, at_most=100)
    ] = 0
    concurrency: Annotated[ConcurrencySpec | None, rule("Jobs that must not run at the same time.")] = None
    resources: Annotated[ResourceSpec, rule("Limits of the whole pod.")] = field(default_factory=ResourceSpec)
    trust: Annotated[
        ApprovalWaiver,
        rule(
            "Untrusted pull requests that run without an approval: none, or those whose newest commit was pushed by a user"
            " who may write to the repository, as its forge says. They get no secrets, no writable cache and no"
            " identity all the same."
        ),
    ] = ApprovalWaiver.NONE
    clone: Annotated[CloneSpec, rule("How much history jobs get; by default their commit alone.")] = field(
        default_factory=CloneSpec
    )
    cache: Annotated[
        bool,
        rule(
            "Whether its jobs restore and save caches (`cache()` of the SDK) and snapshots of steps. `off` for releases: everything that is in them"
            " is then made by the job itself."
        ),
    ] = True
    submodules: Annotated[
        tuple[str, ...],
        rule(
            "Submodules that are read with the server's credential, as HOST/PATH; * stands for any text. Others are"
            " read without one.",
            pattern=r"(?!\w+://)\S+",
            expects="HOST/PATH without a scheme",
            example="github.com/myorg/library",
        ),
    ] = ()
    egress_allowlist: Annotated[
        tuple[str, ...],
        rule("Hosts that its jobs may reach, beside those that every job may reach.", **patterns.egress),
    ] = ()
    images: Annotated[
        tuple[str, ...],
        rule(
            "Names in the server's own registry that its jobs may push to, beside all below its own name. A name belongs"
            " to one pipeline, with all that is below it. In a cluster only pipelines that name one build images.",
            pattern=r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*",
            expects="the name of a repository, without host and tag",
            example="myorg/app",
            most=100,
        ),
    ] = ()
    params: Annotated[Mapping[str, ParamSpec], rule("Parameters of a manual start, by name.", most=50)] = field(
        default_factory=dict
    )
    environments: Annotated[
        Mapping[str, EnvironmentSpec],
        rule(
            "What its jobs act on only after an approval in their middle (`approval()` of the SDK), by name. The danubefile"
            " cannot change it.",
            most=20,
        ),
    ] = field(default_factory=dict)
    run_as_root: Annotated[
        bool,
        rule(
            "Whether steps in the image `host` run as root, with rights over the job's own files only, instead of as the"
            " user danube. Other images have users of their own."
        ),
    ] = False
    node_selector: Annotated[Mapping[str, str], rule("On Kubernetes: labels of the node.", most=20)] = field(
        default_factory=dict
    )
    tolerations: Annotated[tuple[TolerationSpec, ...], rule("On Kubernetes: tolerations of taints.", most=20)] = ()
    runtime_class: Annotated[
        str,
        rule(
            "On Kubernetes: the RuntimeClass.",
            pattern=r"|[a-z0-9]([a-z0-9.-]*[a-z0-9])?",
            expects="the name of a RuntimeClass",
        ),
    ] = ""
    permissions: Annotated[tuple[PermissionSpec, ...], rule("What other teams may do.")] = ()
    notifications: Annotated[tuple[Notification, ...], rule("Notifications about the ends of its jobs.")] = ()
    badge: Annotated[bool, rule("Whether its badge is public.")] = False
