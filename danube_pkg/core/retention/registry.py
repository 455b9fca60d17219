"""Decides which images of a registry are removed: those that are too old, too many, or too large for their pipeline.

An image is a manifest with a tag, or one that had a tag when the registry was read before. Its age is counted from when
Danube saw it first: the time that an image states itself is that of its build, and some are built as of 1970. What
belongs to an image goes and stays with it: the manifests of an index, and attestations, which are tags named after the
image's digest (`sha256-HEX`, also with an ending). Images with a protected tag, the newest of each repository, and
those that pipelines name are never removed.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase

from danube_pkg.kit.records import Record

GRACE_SECONDS = 86400.0
"""An untagged manifest stays so long: a push may be about to name it."""

_ATTACHED = re.compile(r"sha256-([0-9a-f]{64})(\..+)?")


class ImageWhy(StrEnum):
    """Why an image is removed. orphan: it belonged to an image that is gone."""

    AGE = "age"
    COUNT = "count"
    SIZE = "size"
    UNTAGGED = "untagged"
    ORPHAN = "orphan"


class ImagePolicy(Record):
    """keep_seconds: how long an image is kept. keep_count: so many of the newest in each repository are kept whatever
    their age. most: images of a repository; 0: no limit. pipeline_bytes: of the repositories of one pipeline; 0: no
    limit. protected: patterns of tags."""

    keep_seconds: float
    keep_count: int = 3
    most: int = 0
    pipeline_bytes: int = 0
    protected: tuple[str, ...] = ("latest",)


class StoredManifest(Record):
    """A manifest in a repository. seen_at: when it was seen first, in Unix seconds. children: the digests of an index.
    blobs: sizes by digest, of the manifest's own blobs."""

    digest: str
    tags: tuple[str, ...]
    seen_at: float
    children: tuple[str, ...] = ()
    blobs: Mapping[str, int] = {}

    @property
    def attached_to(self) -> str:
        """The digest of the image that this one is an attestation of; "" for an image."""
        found = [_ATTACHED.fullmatch(tag) for tag in self.tags]
        return f"sha256:{found[0][1]}" if found and found[0] is not None else ""


class ImageRemoval(Record):
    """A manifest that is removed."""

    repository: str
    digest: str
    tags: tuple[str, ...]
    why: ImageWhy


def plan_images(
    repositories: Mapping[str, Sequence[StoredManifest]],
    policy: ImagePolicy,
    named: Collection[tuple[str, str]],
    pipelines: Collection[str],
    now: float,
) -> tuple[ImageRemoval, ...]:
    """What is removed, in an order in which no manifest is removed before an index that names it.

    repositories: every manifest that is known, with those of indexes. named: (repository, tag or digest) that pipelines
    run in. pipelines: their names; the repository NAME and NAME/… belong to the pipeline NAME.
    """
    chosen: dict[tuple[str, str], ImageWhy] = {}
    for name, manifests in repositories.items():
        for digest, why in _of_repository(name, manifests, policy, named, now):
            chosen[name, digest] = why
    if policy.pipeline_bytes:
        for pipeline in pipelines:
            own = {
                name: one for name, one in repositories.items() if name == pipeline or name.startswith(f"{pipeline}/")
            }
            _shrink(own, policy, named, chosen)
    removals: list[ImageRemoval] = []
    for name, manifests in repositories.items():
        removals += _with_what_belongs_to_them(name, manifests, chosen, now)
    return tuple(removals)


def _is_protected(name: str, one: StoredManifest, policy: ImagePolicy, named: Collection[tuple[str, str]]) -> bool:
    if any(fnmatchcase(tag, pattern) for tag in one.tags for pattern in policy.protected):
        return True
    return any((name, word) in named for word in (*one.tags, one.digest))


def _images(manifests: Sequence[StoredManifest]) -> list[StoredManifest]:
    """Those that have a tag of their own, newest first."""
    images = [one for one in manifests if one.tags and not one.attached_to]
    return sorted(images, key=lambda one: (-one.seen_at, one.digest))


def _of_repository(
    name: str,
    manifests: Sequence[StoredManifest],
    policy: ImagePolicy,
    named: Collection[tuple[str, str]],
    now: float,
) -> Iterator[tuple[str, ImageWhy]]:
    """Images that are too old or too many."""
    for at, one in enumerate(_images(manifests)):
        if at < policy.keep_count or _is_protected(name, one, policy, named):
            continue
        if now - one.seen_at > policy.keep_seconds:
            yield one.digest, ImageWhy.AGE
        elif policy.most and at >= policy.most:
            yield one.digest, ImageWhy.COUNT


def _shrink(
    own: Mapping[str, Sequence[StoredManifest]],
    policy: ImagePolicy,
    named: Collection[tuple[str, str]],
    chosen: dict[tuple[str, str], ImageWhy],
) -> None:
    """Choose the oldest images of a pipeline until the rest is within its size. Blobs that images share count once."""
    left = [
        (name, one) for name, manifests in own.items() for one in _images(manifests) if (name, one.digest) not in chosen
    ]
    newest = {(name, one.digest) for name, manifests in own.items() for one in _images(manifests)[: policy.keep_count]}
    for name, one in sorted(left, key=lambda pair: (pair[1].seen_at, pair[1].digest)):
        if _size(own, chosen) <= policy.pipeline_bytes:
            return
        if (name, one.digest) not in newest and not _is_protected(name, one, policy, named):
            chosen[name, one.digest] = ImageWhy.SIZE


def _size(own: Mapping[str, Sequence[StoredManifest]], chosen: Collection[tuple[str, str]]) -> int:
    blobs: dict[str, int] = {}
    for name, manifests in own.items():
        gone = {digest for repository, digest in chosen if repository == name}
        for one in _kept(manifests, gone):
            blobs.update(one.blobs)
    return sum(blobs.values())


def _kept(manifests: Sequence[StoredManifest], gone: Collection[str]) -> Iterator[StoredManifest]:
    """What is left when these images are removed: images with what belongs to them."""
    by_digest = {one.digest: one for one in manifests}
    for one in manifests:
        if one.tags and not one.attached_to and one.digest not in gone:
            yield one
            yield from (by_digest[child] for child in one.children if child in by_digest)


def _with_what_belongs_to_them(
    name: str, manifests: Sequence[StoredManifest], chosen: Mapping[tuple[str, str], ImageWhy], now: float
) -> Iterator[ImageRemoval]:
    """Each chosen image, then the manifests of its index that no other names, then attestations of what is gone."""
    gone = {digest for repository, digest in chosen if repository == name}
    stays = {one.digest for one in manifests if one.tags and not one.attached_to and one.digest not in gone}
    attached = {one.digest for one in manifests if one.attached_to in stays}
    in_use = {child for one in manifests if one.digest in stays | attached for child in one.children} | stays
    for one in manifests:
        if one.digest in gone:
            yield ImageRemoval(name, one.digest, one.tags, chosen[name, one.digest])
    for one in manifests:
        if one.tags or one.digest in in_use or one.digest in gone:
            continue
        if now - one.seen_at > GRACE_SECONDS:
            gone.add(one.digest)
            yield ImageRemoval(name, one.digest, (), ImageWhy.UNTAGGED)
    known = {one.digest for one in manifests} - gone
    for one in manifests:
        subject = one.attached_to
        if subject and subject not in known and one.digest not in in_use and now - one.seen_at > GRACE_SECONDS:
            yield ImageRemoval(name, one.digest, one.tags, ImageWhy.ORPHAN)
