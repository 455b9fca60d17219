"""Caches: files that one job keeps for later jobs, such as downloaded packages."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from danube._errors import DanubeError
from danube._legs import current_leg
from danube._open_steps import without_end
from danube._session import CacheCall, current
from danube._texts import check_texts
from danube._workspace import matches, refuse_outside

PIECE_BYTES = 1024**2
DIGITS = 40
"""A hash has 160 bits, as those of Git."""

_unsaved: list["Cache"] = []
"""Caches without a block, which are stored when the pipeline function has returned."""


class Cache:
    """A cache, restored or new. With `with`, it is kept at the end of the block."""

    def __init__(self, call: CacheCall, outcome: str, restored_key: str) -> None:
        self._call = call
        self._outcome = outcome
        self._open_before = frozenset(without_end)
        self._restored_key = restored_key

    @property
    def hit(self) -> bool:
        """Whether the files of this very key were restored."""
        return self._outcome == "hit"

    @property
    def restored_key(self) -> str:
        """The key of what was restored, with a fallback an older one; empty where nothing was."""
        return self._restored_key

    def __enter__(self) -> "Cache":
        if self in _unsaved:
            _unsaved.remove(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._save()

    def _save(self) -> None:
        if self.hit or self._outcome == "off":
            return
        left = [name for sequence, name in sorted(without_end.items()) if sequence not in self._open_before]
        if left:
            print(f"danube: cache {self._call.name} is not stored: step {left[0]!r} has not ended", flush=True)
            return
        current().save_cache(self._call)


def cache(
    name: str,
    *,
    paths: Sequence[str],
    key: str,
    fallback: str | Sequence[str] | None = None,
    image: str | None = None,
) -> Cache:
    """Restore files that an earlier job of this pipeline kept under the same key, and keep them for later jobs where
    the key is new.

        with cache("pip", paths=["~/.cache/pip"], key=hash_files("requirements*.txt")):
            step.run("pip install -r requirements.txt")

    The files are restored by the call. They are kept at the end of the block; without `with`, at the end of the
    pipeline function. A block or a pipeline that fails keeps nothing. A cache never fails the job: what goes wrong is a
    line in the log, and nothing is restored.

    name: of the cache; caches of other names are never restored.
    paths: files and directories in the container of `image`: below `~`, absolute, or below `/workspace`. What is
        restored replaces what exists. Their owners, hard links and extended attributes are not kept.
    key: says what the content depends on. Files kept under a key never change: a new content needs a new key.
    fallback: beginnings of older keys: where the key is new, the newest files whose key begins so are restored; `""`
        for any key. Use it only for content that may be out of date, such as downloads.
    image: as in `step.run`; by default the pipeline's. Only jobs with the same digest of the image share files.

    A job reads what jobs of its branch, tag or pull request have kept, then what those of the default branch have; it
    writes for its own alone. Raises DanubeError for a name, a key or a path that no cache can have, and in an isolated
    leg of a matrix: put the block around the matrix.
    """
    session, leg = current(), current_leg()
    if leg is not None and leg.isolation:
        raise DanubeError(
            "cache-in-leg",
            f"cache {name!r} is in an isolated leg of a matrix, whose files are its own",
            hint="put the block around the matrix: with cache(…): for leg in step.matrix(…): …",
        )
    beginnings = (fallback,) if isinstance(fallback, str) else tuple(fallback or ())
    if isinstance(paths, str):
        raise DanubeError(
            "cache-invalid", "the paths of a cache are a list of texts", hint='cache("pip", paths=["~/.cache/pip"], …)'
        )
    texts: dict[str, object] = {"the name of a cache": name, "the key of a cache": key, "image": image or ""}
    texts |= {f"path {number} of a cache": path for number, path in enumerate(paths, 1)}
    texts |= {f"fallback {number} of a cache": text for number, text in enumerate(beginnings, 1)}
    check_texts("cache-invalid", texts)
    call = CacheCall(session.next_sequence("cache"), name, key, tuple(paths), beginnings, image or "")
    outcome, restored_key, _ = session.restore_cache(call)
    made = Cache(call, outcome, restored_key)
    _unsaved.append(made)
    return made


def hash_files(*patterns: str) -> str:
    """A hash of the names and contents of files in the workspace, for the key of a cache: 40 hexadecimal digits.

    patterns: relative to `/workspace`: `package-lock.json`, `**/go.sum`. A pattern may match nothing; `*` and `**` do
        not match names that begin with a dot.

    The files are read where the danubefile runs, when it is called: call it before steps change them. The order of the
    patterns does not matter, and neither do times, modes and owners. Raises DanubeError where no file matches, since
    such a key would never change, where one cannot be read, and where one leads out of the workspace.
    """
    session, leg = current(), current_leg()
    check_texts("cache-invalid", {f"pattern {number}": pattern for number, pattern in enumerate(patterns, 1)})
    workspace = Path(session.workspace if leg is None else leg.workspace)
    found = sorted({file for pattern in patterns for file in matches(workspace, pattern) if os.path.isfile(file)})
    if not found:
        raise DanubeError(
            "cache-no-files",
            f"no file matches {', '.join(map(repr, patterns)) or 'no pattern'}",
            hint="the patterns are relative to /workspace; list it in a step: ls -la",
        )
    refuse_outside("cache-outside", workspace, [Path(file) for file in found], followed=True)
    whole = hashlib.sha256()
    for relative, file in sorted((os.fsencode(os.path.relpath(file, workspace)), file) for file in found):
        whole.update(len(relative).to_bytes(8, "big") + relative + _content_hash(file))
    return whole.hexdigest()[:DIGITS]


def save_unsaved() -> None:
    """Keep the caches without a block: the pipeline function has returned."""
    while _unsaved:
        _unsaved.pop(0)._save()


def _content_hash(path: str) -> bytes:
    hash_ = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while piece := file.read(PIECE_BYTES):
                hash_.update(piece)
    except OSError as error:
        raise DanubeError(
            "cache-unreadable",
            f"{path!r} cannot be read",
            cause=error.strerror or str(error),
            hint="let the danubefile's user read it",
        ) from error
    return hash_.digest()
