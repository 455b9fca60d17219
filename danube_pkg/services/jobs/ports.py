"""What the job engine is given: the ports through which it reaches the world, and its settings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from danube_pkg.core.jobs.ports import JobKeys
from danube_pkg.core.logs.ports import JobLogs
from danube_pkg.core.pipelines import PipelineStore
from danube_pkg.core.repositories.ports import Sources
from danube_pkg.core.runtimes.ports import Runtime
from danube_pkg.core.secrets.ports import SecretValues
from danube_pkg.core.store import JobStore
from danube_pkg.kit.clock import Clock
from danube_pkg.services.egress import Egress
from danube_pkg.services.notifications.observer import News


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """max_concurrent_jobs: asked at each admission, since the configuration may change it.
    egress_allowlist: what every job may reach beside its pipeline's own list, asked at each new job.
    coordinator_command: what the coordinator's container runs; no secret is in it.
    news: who is told of changes; None where there is nobody."""

    max_concurrent_jobs: Callable[[], int]
    coordinator_command: str = "exec python3 -m danube_pkg.pod.coordinator"
    egress_allowlist: Callable[[], Sequence[str]] = tuple
    news: News | None = None


@dataclass(frozen=True, slots=True)
class EnginePorts:
    """All that the engine reaches the world through."""

    jobs: JobStore
    pipelines: PipelineStore
    runtime: Runtime
    logs: JobLogs
    keys: JobKeys
    secrets: SecretValues
    sources: Sources
    clock: Clock
    new_id: Callable[[], str]
    egress: Egress | None = None
