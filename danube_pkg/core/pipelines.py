"""A pipeline as the engine needs it: its code and its limits. `core/configuration` has its YAML schema."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from danube_pkg.core.runtimes.pods import HOST_IMAGE, Network, Placement
from danube_pkg.kit.records import Record, field, replace

GRACE_SECONDS = 30
"""Enough to upload what is in the workspace and to remove what a deployment has left behind."""

MAX_KEPT_SECONDS = 3600
"""The longest that a failed job's pod is kept, and a shell in it lasts. It takes memory and disk of jobs that wait."""


class Environment(Record):
    """What a job acts on only after an approval.

    approvers: names of teams, addresses of users in lower case, or the name of the local administrator. refs: patterns
    of branches, and of full refs where they begin with `refs/`; () for every branch and tag. secrets: keys that are
    read only after the approval. self_approval: whether the user who started the job may approve it. timeout_seconds:
    the longest wait.
    """

    name: str
    approvers: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    self_approval: bool = False
    timeout_seconds: int = 86400


class PipelineSettings(Record):
    """Copied into a job when it is created, so that a later change of the pipeline does not affect it."""

    repository: str
    script: str = "danubefile.py"
    image: str = HOST_IMAGE
    max_duration_seconds: int = 3600
    """An hour: long enough for most builds, short enough that a hanging one is noticed the same day."""
    grace_seconds: int = 0
    """How long a job may clean up that was cancelled or has reached its deadline; 0: not at all."""
    keep_failed_seconds: int = 0
    """How long the pod of a failed job is kept for `danube shell`; 0: not at all."""
    workspace_size_gb: int = 5
    memory_mb: int = 0
    cpu: float = 0.0
    network: Network = Network.NONE
    egress_allowlist: tuple[str, ...] = ()
    """Entries of `core.egress.policy`: the pipeline's own; in a job's settings preceded by the server's."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of each step, by name."""
    run_as_root: bool = False
    """Steps in the image `host` are run by root of the job's own user ids."""
    builds_images: bool = False
    """Whether it names images that it pushes. A cluster must know before the pod is made that steps build images."""
    placement: Placement = Placement()
    trusts_members: bool = False
    """Untrusted requests whose head a member of the repository pushed need no approval."""
    submodules: tuple[str, ...] = ()
    """Repositories as HOST/PATH, with `*`, for which the server lends its credential to submodules."""
    clone_depth: int = 1
    """Commits of history in a job's `.git`; 0: all."""
    clone_tags: bool = False
    """Whether it has the tags of these commits."""
    log_limit_mb: int = 200
    """A build that prints more is most likely in a loop."""
    max_concurrent_jobs: int = 0
    """0: only the server's limit."""
    priority: int = 0
    concurrency_group: str | None = None
    """A template; "" for a group of the pipeline's own, None for no group."""
    cancel_in_progress: bool = False
    only_step: str = ""
    """The option of `danube run --step`: the name of the one step that runs; "" for all. A server never sets it."""
    cache: bool = True
    """Whether its jobs restore and save caches."""
    environments: tuple[Environment, ...] = ()
    """What its jobs act on only after an approval."""
    approved_locally: bool = False
    """Whether it is a `danube run`, whose own user approves each environment, declared or not, on any ref."""

    def environment_named(self, name: str) -> Environment | None:
        return next((one for one in self.environments if one.name == name), None)

    def environment_of(self, secret: str) -> str:
        """The environment whose approval a secret needs; "" for none."""
        return next((one.name for one in self.environments if secret in one.secrets), "")

    def allowing(self, entries: Sequence[str]) -> "PipelineSettings":
        """With the server's allowlist before the pipeline's own, where the network is limited to an allowlist."""
        if self.network is not Network.ALLOWLIST:
            return self
        return replace(self, egress_allowlist=tuple(dict.fromkeys((*entries, *self.egress_allowlist))))


class Pipeline(Record):
    """removed: it is not in the configuration any more. Its history stays readable, and no job of it starts."""

    id: str
    name: str
    team: str
    settings: PipelineSettings
    branch_filter: tuple[str, ...] = ()
    cron_schedule: str | None = None
    removed: bool = False


class PipelineStore(Protocol):
    """The pipelines of the applied configuration. Those that were removed from it are marked, never deleted."""

    async def apply_pipelines(self, pipelines: Sequence[Pipeline], revision: str) -> None: ...
    async def load_pipeline(self, name: str) -> Pipeline | None: ...
    async def pipeline_by_id(self, pipeline_id: str) -> Pipeline | None: ...
    async def list_pipelines(self, *, with_removed: bool = False) -> Sequence[Pipeline]: ...
