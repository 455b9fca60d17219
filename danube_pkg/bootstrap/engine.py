"""Builds the job engine with its parts, for a server and for `danube run` alike."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from danube_pkg.adapters.blobs.content import ContentDirectory
from danube_pkg.adapters.blobs.directory import BlobDirectory
from danube_pkg.adapters.disk.probe import DirectoryDisk
from danube_pkg.adapters.keys.identity import IdentityKeyFile
from danube_pkg.adapters.keys.signing import is_signed_by
from danube_pkg.adapters.logs import FileJobLogs
from danube_pkg.adapters.store import (
    SqliteArtifacts,
    SqliteArtifactUses,
    SqliteCaches,
    SqliteCacheUses,
    SqliteProvenance,
    SqlitePushedImages,
    SqliteReports,
    SqliteSecrets,
    SqliteServerState,
)
from danube_pkg.bootstrap.image_builds import build_image_builds, build_job_logins
from danube_pkg.bootstrap.registry_tokens import build_registry_tokens
from danube_pkg.bootstrap.runtime import RuntimeParts
from danube_pkg.bootstrap.store import WORK_BEGAN, Store
from danube_pkg.core.configuration.applied import AppliedConfiguration
from danube_pkg.core.logs.ports import JobLogs
from danube_pkg.core.repositories.ports import Sources
from danube_pkg.core.secrets.outside import OutsideSecrets
from danube_pkg.edges.grpc.network import NetworkListener
from danube_pkg.edges.grpc.server import CoordinatorServer
from danube_pkg.kit.records import Record, replace
from danube_pkg.kit.tallies import Tally
from danube_pkg.services.artifact_downloads import ArtifactDownloads
from danube_pkg.services.artifacts import Artifacts
from danube_pkg.services.caches import Caches, CacheStorage
from danube_pkg.services.egress import Egress, NetworkEgress
from danube_pkg.services.health.room import DiskRoom
from danube_pkg.services.identity.audit import Audit
from danube_pkg.services.images.builds import ImageBuilds
from danube_pkg.services.images.job_logins import JobLogins
from danube_pkg.services.images.registry_tokens import RegistryTokens
from danube_pkg.services.jobs.clock_watch import ClockWatch
from danube_pkg.services.jobs.coordination import Coordination
from danube_pkg.services.jobs.draining import Draining
from danube_pkg.services.jobs.effects.close_log import CloseLog
from danube_pkg.services.jobs.effects.create_pod import CreatePod
from danube_pkg.services.jobs.effects.delete_pod import DeletePod
from danube_pkg.services.jobs.effects.performer import EffectPerformer
from danube_pkg.services.jobs.effects.sign_provenance import SignProvenance
from danube_pkg.services.jobs.effects.stop_steps import StopSteps
from danube_pkg.services.jobs.engine import Engine
from danube_pkg.services.jobs.id_tokens import IdTokens
from danube_pkg.services.jobs.masks import MaskOptions, MaskSource
from danube_pkg.services.jobs.ports import EnginePorts
from danube_pkg.services.jobs.resources import JobResources
from danube_pkg.services.notifications.observer import JobObserver
from danube_pkg.services.provenance.exports import JobExports
from danube_pkg.services.provenance.statements import NO_CONTEXT, StatementContext, Statements
from danube_pkg.services.secrets import KnownValues, Secrets
from danube_pkg.services.snapshot_proofs import SnapshotProofs
from danube_pkg.services.traces import Tracer


class EngineWork(Record):
    """How the engine works: what shells, checks, metrics and tests of it read."""

    resources: JobResources
    performer: EffectPerformer
    room: DiskRoom
    reconnects: Tally
    ports: EnginePorts


class FileParts(Record):
    """Files of jobs that outlive them."""

    artifacts: Artifacts
    caches: Caches


class ImageBuildParts(Record):
    """Images that jobs build."""

    builds: ImageBuilds
    registry_tokens: RegistryTokens | None
    """None where the registry takes no tokens of this server."""


class ProvenanceParts(Record):
    """What is stated about jobs."""

    statements: Statements
    exports: JobExports


class EngineParts(Record):
    """The engine and what its neighbours need of it."""

    engine: Engine
    work: EngineWork
    coordination: Coordination
    observer: JobObserver
    draining: Draining
    secrets: Secrets
    sources: Sources
    logs: JobLogs
    egress: Egress
    id_tokens: IdTokens
    files: FileParts
    images: ImageBuildParts
    provenance: ProvenanceParts


def build_secrets(
    store: Store,
    applied: AppliedConfiguration,
    known: KnownValues,
    *,
    overrides: Mapping[str, bytes] | None = None,
    audit: Audit | None = None,
    places: Sequence[OutsideSecrets] = (),
) -> Secrets:
    """The secrets of a data directory. overrides: values of one run, which are never stored. places: outside of it."""
    sqlite = SqliteSecrets(store.database)
    return Secrets(sqlite, store.keys, store.clock, store.new_id, known, overrides, applied, audit, places)


def build_masks(store: Store, secrets: Secrets, options: MaskOptions | None = None) -> MaskSource:
    """What logs and egress ledgers must mask; made before the runtime, whose proxies ask for it."""
    return MaskSource(store.jobs, secrets, store.keys, secrets.known, options or MaskOptions())


def build_engine(
    store: Store,
    secrets: Secrets,
    masks: MaskSource,
    runtime: RuntimeParts,
    sources: Sources,
    observer: JobObserver,
    logs: JobLogs,
    external_url: str = "",
    context: StatementContext = NO_CONTEXT,
    tracer: Tracer | None = None,
    cache_storage: CacheStorage | None = None,
) -> EngineParts:
    """Nothing runs yet. external_url: what links to this server begin with, "" where it is not configured. context:
    what is stated about all jobs; the runtime is added. tracer: None for jobs without traces. cache_storage: where
    caches are; by default in the data directory."""
    egress = _egress(store, secrets, runtime)
    logins = build_job_logins(runtime.image_options, store, observer.applied, secrets)
    ports = _ports(store, secrets, runtime, sources, egress, logs, logins, external_url)
    ports = replace(ports, trace_environment=tracer.environment) if tracer is not None else ports
    resources = JobResources(ports, masks)
    kept, signed = SqliteArtifacts(store.database), SqliteProvenance(store.database)
    cache_uses = SqliteCacheUses(store.database)
    artifacts = _artifacts(store, kept, observer)
    context = replace(context, runtime=runtime.runtime.name)
    statements = _statements(store, signed, kept, context, artifacts, cache_uses)
    performer = _performer(ports, resources, statements)
    draining = Draining(SqliteServerState(store.database))
    room = DiskRoom(DirectoryDisk(store.directory), str(store.directory))
    engine = Engine(ports, resources, performer, observer, draining, runtime.coordinator_command, room)
    caches = _caches(store, cache_uses, observer.applied, cache_storage)
    id_tokens = _id_tokens(store, external_url)
    tokens = build_registry_tokens(runtime.image_options, store, observer.applied, engine)
    builds = build_image_builds(runtime.image_options, store, observer.applied, secrets, logins, tokens)
    downloads, proofs = _downloads(store, artifacts, statements), _proofs(store, statements)
    coordination = Coordination(
        engine, ports, resources, secrets, artifacts, id_tokens, builds, caches, downloads, proofs
    )
    exports = JobExports(statements, signed, logs, runtime.ledgers)
    return EngineParts(
        engine=engine,
        work=EngineWork(resources, performer, room, ports.reconnects, ports),
        coordination=coordination,
        observer=observer,
        draining=draining,
        secrets=secrets,
        sources=sources,
        logs=logs,
        egress=egress,
        id_tokens=id_tokens,
        files=FileParts(artifacts, caches),
        images=ImageBuildParts(builds, tokens),
        provenance=ProvenanceParts(statements, exports),
    )


def _egress(store: Store, secrets: Secrets, runtime: RuntimeParts) -> Egress:
    network = NetworkEgress(runtime.network, store.keys) if runtime.network is not None else None
    return Egress(runtime.proxies, runtime.ledgers, secrets, network)


def _performer(ports: EnginePorts, resources: JobResources, statements: Statements) -> EffectPerformer:
    effects = (
        CreatePod(ports, resources),
        StopSteps(ports, resources),
        CloseLog(ports, resources),
        SignProvenance(statements),
        DeletePod(ports.runtime),
    )
    return EffectPerformer(effects, ports.timing)


def _caches(store: Store, uses: SqliteCacheUses, applied: AppliedConfiguration, storage: CacheStorage | None) -> Caches:
    if storage is None:
        content = ContentDirectory(store.directory / "caches", "cache")
        storage = CacheStorage(SqliteCaches(store.database), content)
    return Caches(storage, uses, store.clock, store.new_id, lambda: applied.config.cache_bounds)


def _artifacts(store: Store, kept: SqliteArtifacts, observer: JobObserver) -> Artifacts:
    files = BlobDirectory(store.directory / "artifacts", "artifact")
    return Artifacts(kept, files, store.clock, store.new_id, lambda: observer.applied.config.artifact_bounds)


def _statements(
    store: Store,
    signed: SqliteProvenance,
    kept: SqliteArtifacts,
    context: StatementContext,
    artifacts: Artifacts,
    uses: SqliteCacheUses,
) -> Statements:
    pushed, reads = SqlitePushedImages(store.database), SqliteSecrets(store.database)
    downloads = SqliteArtifactUses(store.database)
    return Statements(signed, kept, pushed, reads, uses, downloads, store.signing, context, artifacts)


def _downloads(store: Store, artifacts: Artifacts, statements: Statements) -> ArtifactDownloads:
    uses = SqliteArtifactUses(store.database)
    return ArtifactDownloads(
        store.jobs, store.pipelines, artifacts, statements, uses, store.signing, is_signed_by, store.clock
    )


def _proofs(store: Store, statements: Statements) -> SnapshotProofs:
    return SnapshotProofs(store.jobs, statements, store.signing, is_signed_by)


def _id_tokens(store: Store, external_url: str) -> IdTokens:
    keys = IdentityKeyFile(store.directory / "keys", SqliteServerState(store.database))
    return IdTokens(keys, store.clock, store.new_id, external_url)


def _ports(
    store: Store,
    secrets: Secrets,
    runtime: RuntimeParts,
    sources: Sources,
    egress: Egress,
    logs: JobLogs,
    logins: JobLogins,
    external_url: str,
) -> EnginePorts:
    return EnginePorts(
        jobs=store.jobs,
        pipelines=store.pipelines,
        runtime=runtime.runtime,
        logs=logs,
        keys=store.keys,
        secrets=secrets,
        sources=sources,
        egress=egress,
        reports=SqliteReports(store.database),
        notes=SqliteReports(store.database),
        clock=store.clock,
        timing=store.timing,
        new_id=store.new_id,
        external_url=external_url,
        logins=logins if runtime.images is None else None,
        clock_watch=ClockWatch(SqliteServerState(store.database), store.read_clocks) if store.read_clocks else None,
    )


@asynccontextmanager
async def open_engine(
    store: Store,
    secrets: Secrets,
    masks: MaskSource,
    runtime: RuntimeParts,
    sources: Sources,
    observer: JobObserver,
    external_url: str = "",
    context: StatementContext = NO_CONTEXT,
    tracer: Tracer | None = None,
    listener: NetworkListener | None = None,
    cache_storage: CacheStorage | None = None,
) -> AsyncIterator[EngineParts]:
    """The engine, running and reachable by coordinators; jobs continue when the block is left. external_url: as for
    `build_engine`. listener: for coordinators in a cluster."""
    async with AsyncExitStack() as stack:
        logs = FileJobLogs(store.directory / "logs", store.clock.now)
        stack.callback(logs.abandon)
        parts = build_engine(
            store, secrets, masks, runtime, sources, observer, logs, external_url, context, tracer, cache_storage
        )
        if tracer is not None:
            parts.engine.listen(lambda job: tracer.job_changed(job, parts.engine.source_period(job.id)))
        await parts.draining.recall()
        await SqliteServerState(store.database).remember(WORK_BEGAN, store.new_id())
        server = CoordinatorServer(parts.coordination, listener.pods if listener is not None else None)
        await stack.enter_async_context(server.serving(store.directory / "run" / "grpc", listener))
        await stack.enter_async_context(parts.engine.running())
        yield parts
