"""The protocols through which services reach the outside world. Adapters implement them; `server.py` joins the two.

Each docstring states call order, concurrency, idempotency and errors; the contract suites in `tests/contract` hold every
implementation, the fakes included, to it.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from danube_pkg.core.artifacts import Artifact
from danube_pkg.core.configuration.changes import Change
from danube_pkg.core.configuration.state import Applied, State
from danube_pkg.core.effects import Effect
from danube_pkg.core.job_lists import JobFilter, Run
from danube_pkg.core.jobs import Job
from danube_pkg.core.log_lines import Lines, Section
from danube_pkg.core.logs import Found
from danube_pkg.core.pipelines import Pipeline
from danube_pkg.core.pods import Container, PodEvent, PodSpec, PodState
from danube_pkg.core.secrets import SecretName, SecretRead, StoredSecret
from danube_pkg.core.statistics import JobTimes
from danube_pkg.core.telling import NOTHING, Told
from danube_pkg.core.trigger_ports import Settled


class Clock(Protocol):
    """Time. `now` is Unix seconds for records; `monotonic` for durations. `sleep` is the only way to wait for time."""

    def now(self) -> float: ...
    def monotonic(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...


class JobKeys(Protocol):
    """Keys that are derived, not stored, so that a restarted server has them again."""

    def job_token(self, job_id: str) -> str: ...

    def check_job_token(self, token: str) -> str:
        """The job that a token names; raises Unauthenticated."""
        ...

    def step_key(self, step_id: str, attempt: int) -> bytes:
        """32 bytes that only the server and the supervisor of that attempt know."""
        ...


class ExecStream(Protocol):
    """A program that runs in a container: bytes in, bytes out, exit code.

    `read` returns what is there, up to 1 MiB, and b"" at the end; one reader. `write` waits while the pipe is full.
    `wait` gives the exit code (128 + signal for a signal) and raises Unavailable when the connection or the container is
    gone before there was one. `close` drops the connection; the program is not killed by it.
    """

    async def read(self) -> bytes: ...
    async def write(self, data: bytes) -> None: ...
    async def close_input(self) -> None: ...
    async def wait(self) -> int: ...
    async def close(self) -> None: ...


class Runtime(Protocol):
    """What makes pods.

    Order: `create_pod`, then any number of `ensure_container`, `exec`; then `delete_pod`. All methods may be called
    concurrently for different jobs; for one job `create_pod` and `delete_pod` are never concurrent with each other, and
    `exec` may run concurrently with everything. Every method is idempotent, so that it can be repeated after a crash.

    Errors: `HostLacks` (the machine cannot do it), `PodRefused`-like `Permanent` errors whose reference is a
    `core.reasons.Reason` value (`image-pull-failed`, `pod-failed`, …), `Unavailable` when trying again may help.
    """

    @property
    def name(self) -> str:
        """`sandbox`, `kubernetes` or `fake`."""
        ...

    async def create_pod(self, spec: PodSpec) -> Container:
        """Make the pod's namespaces, workspace and coordinator container; the supervisor answers when this returns.

        Called again for a pod that is there it returns the same coordinator. Cancelled or failed, it leaves nothing that
        `delete_pod` would not remove.
        """
        ...

    async def ensure_container(self, job_id: str, image: str) -> Container:
        """The living worker container of that image in that pod, made when there is none or when it died."""
        ...

    async def exec(self, container: Container, argv: Sequence[str]) -> ExecStream:
        """Run a program in a container. `argv[0] == SUPERVISOR` is the supervisor. Nothing secret belongs into argv.

        Raises `ContainerGone` (NotFound, reference `container-gone`) when that instance does not live any more.
        """
        ...

    async def memory_kills(self, container: Container) -> int:
        """How many processes of that container the kernel has killed for memory so far; 0 where it cannot be known."""
        ...

    async def delete_pod(self, job_id: str) -> None:
        """End every process of the pod and remove all that belongs to it. No error when there is none."""
        ...

    async def list_pods(self) -> Sequence[PodState]:
        """Every pod that this runtime has on behalf of this data directory, also those made before a restart."""
        ...

    def watch(self) -> AbstractAsyncContextManager[AsyncIterator[PodEvent]]:
        """Events of all pods from now on, in order, without loss while the context is open.

        A container that ended before (also while the server was away) and whose pod still exists is reported first.
        """
        ...

    async def close(self) -> None:
        """Let go of watches and descriptors. Pods go on living."""
        ...


class JobStore(Protocol):
    """Jobs, their steps and the effects they owe. One writer: the engine, which calls for one job one at a time."""

    async def create_jobs(
        self, jobs: Sequence[Job], told: Told = NOTHING, settled: Settled | None = None
    ) -> Sequence[Job]:
        """New jobs, what is told of them, and the entry of the inbox that they settle: one transaction.

        Where there is a job of that id, or the pipeline has one of that origin, it stays and is the answer in the new one's place.
        """
        ...

    async def load_job(self, job_id: str) -> Job | None: ...

    async def save_job(
        self, job: Job, *, done: Effect | None = None, owed: Sequence[Effect] = (), told: Told = NOTHING
    ) -> None:
        """The new state with its steps, the effect that led to it marked done, the new effects, and what is told of it: one
        transaction."""
        ...

    async def unfinished_jobs(self) -> Sequence[Job]:
        """Jobs that have not ended or that still owe effects, oldest first."""
        ...

    async def owed_effects(self, job_id: str) -> Sequence[Effect]:
        """Effects not done yet, in the order in which they were decided."""
        ...

    async def list_jobs(self, wanted: JobFilter) -> Sequence[Job]:
        """Newest first, without their steps; each filter combination is answered from an index."""
        ...

    async def newest_runs(self, pipelines: Sequence[str], each: int) -> Mapping[str, Sequence[Run]]:
        """The newest few of each pipeline, newest first."""
        ...

    async def job_times(self, pipeline: str, limit: int) -> Sequence[JobTimes]:
        """Of a pipeline's newest jobs."""
        ...

    def version(self) -> int:
        """Another number whenever anything that is stored has changed: what an answer may be kept for."""
        ...


class ConfigurationStore(Protocol):
    """The state that was applied last, whole: a server knows it again while its repository is away."""

    async def load_state(self) -> tuple[State, Applied]: ...

    async def apply_changes(self, changes: Sequence[Change], state: State, applied: Applied) -> None:
        """In one transaction. Ids are stable for life; what leaves is marked, not deleted. `state` is what they lead to."""
        ...


class PipelineStore(Protocol):
    """What the applied configuration says. Pipelines that left it are marked, never deleted."""

    async def apply_pipelines(self, pipelines: Sequence[Pipeline], revision: str) -> None: ...
    async def load_pipeline(self, name: str) -> Pipeline | None: ...
    async def pipeline_by_id(self, pipeline_id: str) -> Pipeline | None: ...
    async def list_pipelines(self, *, with_removed: bool = False) -> Sequence[Pipeline]: ...


class SecretStore(Protocol):
    """Encrypted values by name. The store never sees a clear value. `pipeline` is a name, which may not exist yet."""

    async def put_secret(self, secret: StoredSecret) -> None:
        """Write or replace. A replaced value is retired at the new one's `created_at`, not removed: masking still needs it."""
        ...

    async def load_secret(self, name: SecretName) -> StoredSecret | None: ...
    async def list_secrets(self, pipeline: str | None) -> Sequence[StoredSecret]: ...

    async def delete_secret(self, name: SecretName, at: float) -> bool:
        """Retire it; whether there was one."""
        ...

    async def maskable_secrets(self, pipeline: str) -> Sequence[StoredSecret]:
        """All that a job of that pipeline could have read: current and retired, its own and the global ones."""
        ...

    async def forget_retired_secrets(self, before: float) -> int:
        """Remove what was retired before that moment; how many values that were."""
        ...

    async def reads_of(self, job_id: str) -> Sequence[str]:
        """The names of what a job read, each once, in the order of the first time."""
        ...

    async def last_read(self, name: SecretName) -> SecretRead | None:
        """The newest, of the jobs that are still known."""
        ...

    async def record_read(self, job_id: str, sequence: int, name: SecretName, at: float) -> bool:
        """That a job read it; False for a repeated call, which is the same read."""
        ...


class SecretCipher(Protocol):
    """Clear to stored and back; the identity of the row is bound to the value."""

    def encrypt_secret(self, secret_id: str, name: SecretName, value: bytes) -> bytes: ...
    def decrypt_secret(self, secret: StoredSecret) -> bytes: ...


class SecretValues(Protocol):
    """What the log of a pipeline's job must mask."""

    async def values_to_mask(self, pipeline: str) -> Sequence[bytes]: ...

    async def forget_retired(self, before: float) -> None:
        """No job that was made before that moment is left: values that were replaced earlier need no masking any more."""
        ...


class ArtifactStore(Protocol):
    """The records of artifacts; the bytes are the `ArtifactFiles` adapter's."""

    async def add_artifact(self, artifact: Artifact) -> None:
        """Idempotent by (job, name) when the content hash is the same; another content is a `Conflict`."""
        ...

    async def list_artifacts(self, job_id: str) -> Sequence[Artifact]: ...
    async def load_artifact(self, job_id: str, name: str) -> Artifact | None: ...


class ReceivedArtifact(Protocol):
    """Bytes that have arrived whole and are on disk, not yet under their name."""

    @property
    def size_bytes(self) -> int: ...
    @property
    def sha256(self) -> str: ...

    async def keep(self) -> None:
        """Give them their name, in place of what had it before. Raises StorageFull."""
        ...


class ArtifactFiles(Protocol):
    """Artifact bytes below `artifacts/<job_id>/`: written apart, fsynced, renamed when they are to be kept."""

    def receive(
        self, job_id: str, file_name: str, chunks: AsyncIterator[bytes], limit_bytes: int
    ) -> AbstractAsyncContextManager[ReceivedArtifact]:
        """Take in a stream; what was not kept when the block is left is gone, also after a crash. Raises TooLarge, StorageFull."""
        ...

    def open_path(self, job_id: str, file_name: str) -> str: ...


class StepOutput(Protocol):
    """Where one step's raw output goes. Synchronous: appending to the page cache does not block for long.

    `raw_offset` is that of the first raw byte which is not yet emitted: what to follow from, after a crash as well.
    """

    @property
    def raw_offset(self) -> int: ...

    def feed(self, offset: int, data: bytes | memoryview) -> None:
        """Raw bytes at that raw offset; what was seen before is skipped, a gap is a Defect. Raises StorageFull: feed again later."""
        ...

    def finish(self) -> None:
        """The step ended: emit what is held back. Idempotent."""
        ...


class JobLog(Protocol):
    """One job's log: appended by its steps, already redacted, read by any number of viewers.

    Once it is closed it is whole: what comes later, of a notice or of a step that could not be stopped, is not part of it.
    """

    @property
    def size_bytes(self) -> int:
        """Bytes that viewers may read: those whose index record is written."""
        ...

    def step_output(self, step: int, attempt: int) -> StepOutput: ...

    def note(self, key: str, step: int, text: str) -> None:
        """A line of Danube's own (a step's heading, its end, a notice), written once per key, also over restarts."""
        ...

    def step_range(self, step: int) -> tuple[int, int]:
        """Offsets of the first and behind the last byte that belong to a step (0, 0 where it printed nothing)."""
        ...

    def set_secrets(self, values: Sequence[bytes]) -> None:
        """Mask these from now on, in each of their forms."""
        ...

    def redact(self, text: str) -> str:
        """A text as it would stand in the log."""
        ...

    async def close(self) -> None:
        """No more output: emit what is held back, fsync. Idempotent. Raises StorageFull: close again later."""
        ...


class JobLogs(Protocol):
    """All jobs' logs: `logs/<job_id>.log` and `.idx`."""

    def open(self, job_id: str, *, secrets: Sequence[bytes], limit_bytes: int) -> JobLog:
        """Open for appending, cut to the last index record; the same object while it is open."""
        ...

    async def read(self, job_id: str, begin: int, end: int, *, step: int | None = None) -> bytes: ...

    def read_now(self, job_id: str, begin: int, end: int) -> bytes:
        """The same for a few bytes, without waiting."""
        ...

    def size(self, job_id: str, *, step: int | None = None) -> int: ...

    def time_at(self, job_id: str, offset: int) -> float | None:
        """When the byte at that offset was written, in Unix seconds."""
        ...

    async def search(self, job_id: str, text: str, *, begin: int, limit: int, match_case: bool) -> Found:
        """Lines from an offset on that hold a text, in order; bounded in hits and in time."""
        ...

    async def lines(self, job_id: str, first: int, count: int, *, step: int | None = None) -> Lines:
        """Lines by number, as a screen shows them; fewer than asked for where they are long. first: below 0 it counts from
        the end. With a step only what that step printed is the log, and offsets are within it."""
        ...

    async def sections(self, job_id: str) -> Sequence[Section]:
        """Which lines belong to which step, MAX_SECTIONS at most."""
        ...

    def follow(self, job_id: str, begin: int) -> AsyncIterator[tuple[int, bytes]]:
        """(offset, bytes) from `begin` on, as they become readable; ends when the log is closed. Never slows the writer."""
        ...


Listener = Callable[[Job], None]
