"""What the HTTP edge is given: the ports that it reads from and the services that it calls."""

from dataclasses import dataclass

from danube_pkg.core.ports import JobLogs, JobStore, PipelineStore
from danube_pkg.services.artifacts import Artifacts
from danube_pkg.services.configuration import Configuration
from danube_pkg.services.jobs import Engine
from danube_pkg.services.outlines import Outlines
from danube_pkg.services.secrets import Secrets


@dataclass(frozen=True, slots=True)
class Services:
    """A plain read goes straight to a port; everything else through a service. artifact_directory: where bytes lie.
    deploy_key: the public half of the server's own ssh key."""

    jobs: JobStore
    pipelines: PipelineStore
    logs: JobLogs
    engine: Engine
    secrets: Secrets
    artifacts: Artifacts
    artifact_directory: str
    configuration: Configuration | None
    outlines: Outlines | None = None
    deploy_key: str = ""
