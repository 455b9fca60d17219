"""A cache: files that a job keeps for later jobs of its pipeline, under a key.

`family` identifies all that must be equal besides the key: pipeline, repository, name, image digest and paths. An entry
is written once; another content under the same key of the same scope does not replace it.
"""

import json
import re
from collections.abc import Sequence
from hashlib import sha256

from danube_pkg.core.errors import Invalid
from danube_pkg.core.jobs.job import Job
from danube_pkg.core.repositories.urls import without_login
from danube_pkg.core.runtimes.pods import HOST_IMAGE
from danube_pkg.kit.records import Record

MAX_NAME_LENGTH = 64
MAX_KEY_LENGTH = 512
MAX_PATHS = 32
MAX_PATH_BYTES = 1000
"""With MAX_PATHS within what the exec socket of a container takes, 64 KiB."""
MAX_FALLBACKS = 10
MAX_USES = 200
"""Restores of one job that are recorded; further ones are misses."""
MAX_ENTRIES = 1000
"""Entries of one pipeline: a key for each of many branches and lock files."""

_NAME = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.@+-]{{0,{MAX_NAME_LENGTH - 1}}}")
_WHOLE = ("/", "/workspace", "~")
"""Directories that are mounts or homes: restoring one would replace all that is in it."""


class CacheRequest(Record):
    """One `cache()` of a danubefile. paths: absolute, or below `~`. fallback: beginnings of older keys. image: "" for
    the pipeline's. step: for a snapshot, which is kept as caches are, the sequence of its step; 0 for a cache."""

    sequence: int
    name: str
    key: str
    paths: tuple[str, ...]
    fallback: tuple[str, ...] = ()
    image: str = ""
    step: int = 0


class CacheScope(Record):
    """Whose entries: ref is a full ref, `pull/N`, or `directory` for `danube run`. trusted: False for the code of an
    untrusted proposal, whose entries are apart even where the ref is the same."""

    ref: str
    trusted: bool = True


class CacheEntry(Record):
    """A stored cache. sha256: of its archive, which is also the name of its file. after_secret: its content may depend
    on a secret. used_at: when it was restored or written last, in Unix seconds. step: see CacheRequest."""

    id: str
    pipeline: str
    family: str
    name: str
    key: str
    scope: CacheScope
    after_secret: bool
    image: str
    sha256: str
    size_bytes: int
    job_id: str
    created_at: float
    used_at: float
    hits: int = 0
    step: int = 0


class CacheUse(Record):
    """A restore: what a job has read of another. exact: by its key, not by a fallback. sequence: of the call of
    `cache()`; 0 for a snapshot, which has a `step`."""

    job_id: str
    sequence: int
    name: str
    key: str
    sha256: str
    size_bytes: int
    source_job: str
    ref: str
    exact: bool
    after_secret: bool
    at: float
    step: int = 0


class CacheBounds(Record):
    """pipeline_bytes: of all entries of one pipeline together, from `config.yaml`."""

    pipeline_bytes: int = 10 * 1024**3
    """The dependencies of a few branches of a large project."""


def checked_request(request: CacheRequest) -> CacheRequest:
    """With its paths in one form. Raises Invalid."""
    if not _NAME.fullmatch(request.name):
        raise Invalid(
            "cache-name-invalid",
            f"{request.name!r} cannot name a cache",
            cause=f"a name is 1 to {MAX_NAME_LENGTH} letters, digits and _.@+- and does not begin with a dot",
            hint='cache("pip", paths=["~/.cache/pip"], key=hash_files("requirements*.txt"))',
        )
    texts = (request.key, *request.fallback)
    if not request.key or any(len(text) > MAX_KEY_LENGTH or not text.isprintable() for text in texts):
        raise Invalid(
            "cache-key-invalid",
            f"a key of cache {request.name!r} is not 1 to {MAX_KEY_LENGTH} printable characters",
            hint='key=hash_files("requirements*.txt")',
        )
    if not 1 <= len(request.paths) <= MAX_PATHS or len(request.fallback) > MAX_FALLBACKS:
        raise Invalid(
            "cache-paths-invalid",
            f"cache {request.name!r} needs 1 to {MAX_PATHS} paths, and at most {MAX_FALLBACKS} fallbacks",
            hint='paths=["~/.cache/pip"]',
        )
    paths = tuple(_checked_path(request.name, path) for path in request.paths)
    for path in paths:
        if any(f"{path}/".startswith(f"{other}/") for other in paths if other is not path):
            raise Invalid(
                "cache-paths-invalid",
                f"a path of cache {request.name!r} is within another: {path}",
                hint="name the outer one alone",
            )
    return CacheRequest(request.sequence, request.name, request.key, paths, request.fallback, request.image)


def _checked_path(name: str, path: str) -> str:
    """Absolute or below `~`; a relative path is below /workspace. Raises Invalid."""
    full = path if path.startswith(("/", "~")) else f"/workspace/{path}"
    parts = [part for part in full.split("/") if part not in ("", ".")]
    plain = ("" if full.startswith("~") else "/") + "/".join(parts)
    bad = ".." in parts or plain in _WHOLE or (plain.startswith("~") and not plain.startswith("~/"))
    if bad or any(letter in path for letter in "*?[\n\0") or not 0 < len(path.encode()) <= MAX_PATH_BYTES:
        raise Invalid(
            "cache-path-invalid",
            f"cache {name!r} cannot keep {path!r}",
            cause=f"a path is a file or a directory in /workspace, below ~ or absolute, without patterns and ..; "
            f"{', '.join(_WHOLE)} themselves cannot be replaced",
            hint='paths=["~/.cache/pip", "node_modules"]',
        )
    return plain


def family_of(job: Job, request: CacheRequest, image: str, image_digest: str) -> str:
    """What identifies entries that the job may use under the request's key. The machine's own programs have no
    digest."""
    parts = [
        job.pipeline,
        without_login(job.settings.repository),
        request.name,
        HOST_IMAGE if image == HOST_IMAGE else image_digest,
        job.settings.run_as_root,
        *request.paths,
    ]
    return sha256(json.dumps(parts).encode()).hexdigest()


def own_scope(job: Job) -> CacheScope:
    """The only scope that the job writes."""
    trigger = job.trigger
    number = trigger.pull_request.get("number") if trigger.pull_request is not None else None
    named = trigger.revision.full_ref if trigger.pull_request is None else f"pull/{number}" if number else ""
    return CacheScope(named or f"commit/{trigger.revision.commit_sha}", trusted=not trigger.is_untrusted)


def needs_default_branch(job: Job) -> bool:
    """Whether the entries of the default branch may be of use to the job: not to that of a tag."""
    return not (job.trigger.pull_request is None and job.trigger.revision.tag)


def read_scopes(job: Job, default_branch: str) -> Sequence[CacheScope]:
    """The scopes that the job reads, in that order: its own, then that of the default branch. A tag reads its own
    alone. default_branch: its short name, "" where it is unknown."""
    own = own_scope(job)
    base = CacheScope(f"refs/heads/{default_branch}")
    if not default_branch or not needs_default_branch(job) or own == base:
        return (own,)
    return (own, base)


def may_read(job: Job, entry: CacheEntry) -> bool:
    """Untrusted code reads nothing that may depend on a secret."""
    return not (job.trigger.is_untrusted and entry.after_secret)


def evicted(
    entries: Sequence[CacheEntry], scope: CacheScope, size_bytes: int, limit_bytes: int
) -> Sequence[CacheEntry] | None:
    """The entries of a pipeline that make room for a new one: those of proposals first, then the least recently used.
    None where they cannot: a proposal removes only entries of proposals. scope: of the new one."""
    candidates = [one for one in entries if scope.trusted or not one.scope.trusted]
    candidates.sort(key=lambda one: (one.scope.trusted, one.used_at, one.id))
    total, count = sum(one.size_bytes for one in entries) + size_bytes, len(entries) + 1
    chosen = []
    for one in candidates:
        if total <= limit_bytes and count <= MAX_ENTRIES:
            break
        chosen.append(one)
        total, count = total - one.size_bytes, count - 1
    return chosen if total <= limit_bytes and count <= MAX_ENTRIES else None


def due(entries: Sequence[CacheEntry], keep_seconds: float, limit_bytes: int, now: float) -> Sequence[CacheEntry]:
    """The entries that retention removes: those that were not used for so long, then the least recently used above the
    limit of all pipelines together; 0: no limit."""
    old = [one for one in entries if now - one.used_at > keep_seconds]
    left = sorted((one for one in entries if now - one.used_at <= keep_seconds), key=lambda one: (one.used_at, one.id))
    total = sum(one.size_bytes for one in left)
    for one in left:
        if not limit_bytes or total <= limit_bytes:
            break
        old.append(one)
        total -= one.size_bytes
    return old
