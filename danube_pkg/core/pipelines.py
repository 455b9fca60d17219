"""Pipelines as the engine uses them: repository and limits. The YAML schema is in `core/configuration`."""

from collections.abc import Sequence
from typing import Protocol

from danube_pkg.core.runtimes.pods import HOST_IMAGE, Network
from danube_pkg.kit.records import Record, replace


class PipelineSettings(Record):
    """The settings that a job copies from its pipeline when it is created; later changes of the pipeline do not affect
    it."""

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
    """Entries of `core.egress.policy`: the pipeline's own; in a job's settings the server's entries come first."""
    log_limit_mb: int = 200
    """A log of this size can still be searched on the page; a build that prints more is in a loop."""
    max_concurrent_jobs: int = 0
    """0: only the server's limit."""
    priority: int = 0
    concurrency_group: str | None = None
    """A template of the group's name; "": the pipeline itself; None: no group."""
    cancel_in_progress: bool = False

    def allowing(self, entries: Sequence[str]) -> "PipelineSettings":
        """The settings with the server's allowlist before the pipeline's own; unchanged for other kinds of network."""
        if self.network is not Network.ALLOWLIST:
            return self
        return replace(self, egress_allowlist=tuple(dict.fromkeys((*entries, *self.egress_allowlist))))


class Pipeline(Record):
    """A pipeline. removed: it left the configuration; its jobs stay readable, and no job of it starts."""

    id: str
    name: str
    team: str
    settings: PipelineSettings
    branch_filter: tuple[str, ...] = ()
    cron_schedule: str | None = None
    removed: bool = False


class PipelineStore(Protocol):
    """The pipelines of the applied configuration. Those that left it are marked as removed, never deleted."""

    async def apply_pipelines(self, pipelines: Sequence[Pipeline], revision: str) -> None: ...
    async def load_pipeline(self, name: str) -> Pipeline | None: ...
    async def pipeline_by_id(self, pipeline_id: str) -> Pipeline | None: ...
    async def list_pipelines(self, *, with_removed: bool = False) -> Sequence[Pipeline]: ...
