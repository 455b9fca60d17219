"""A pipeline as the engine sees it: which code, which bounds. The YAML schema around it is the configuration's affair."""

from collections.abc import Sequence
from typing import Protocol

from danube_pkg.core.runtimes.pods import HOST_IMAGE, Network
from danube_pkg.kit.records import Record, replace


class PipelineSettings(Record):
    """What a job takes along from its pipeline when it is created, so that a later change does not reach into it."""

    repository: str
    script: str = "danubefile.py"
    image: str = HOST_IMAGE
    max_duration_seconds: int = 3600
    """An hour: long enough for most builds, short enough that a hanging one is noticed the same day."""
    workspace_size_gb: int = 5
    memory_mb: int = 0
    cpu: float = 0.0
    network: Network = Network.NONE
    egress_allowlist: tuple[str, ...] = ()
    """Entries of `core.egress.policy`: the pipeline's own; in a job's settings the server's before them."""
    log_limit_mb: int = 200
    """A page that a person can still search; a build that prints more is looping."""
    max_concurrent_jobs: int = 0
    """0: no bound but the server's."""
    priority: int = 0
    concurrency_group: str | None = None
    """A template; "" is the pipeline itself, None no group."""
    cancel_in_progress: bool = False

    def allowing(self, entries: Sequence[str]) -> "PipelineSettings":
        """With the server's allowlist in front of the pipeline's own, where there is one."""
        if self.network is not Network.ALLOWLIST:
            return self
        return replace(self, egress_allowlist=tuple(dict.fromkeys((*entries, *self.egress_allowlist))))


class Pipeline(Record):
    """`removed` marks one that left the configuration: its history stays readable, nothing starts it any more."""

    id: str
    name: str
    team: str
    settings: PipelineSettings
    branch_filter: tuple[str, ...] = ()
    cron_schedule: str | None = None
    removed: bool = False


class PipelineStore(Protocol):
    """What the applied configuration says. Pipelines that left it are marked, never deleted."""

    async def apply_pipelines(self, pipelines: Sequence[Pipeline], revision: str) -> None: ...
    async def load_pipeline(self, name: str) -> Pipeline | None: ...
    async def pipeline_by_id(self, pipeline_id: str) -> Pipeline | None: ...
    async def list_pipelines(self, *, with_removed: bool = False) -> Sequence[Pipeline]: ...
