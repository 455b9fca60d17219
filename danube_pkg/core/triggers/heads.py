"""Heads of branches and tags: what deliveries announced, and what a comparison with the repository finds beside it.

A delivery is one way to learn that a ref moved, and it may be lost: the server did not run, or the forge gave up. The
refs that a repository has are compared with those that were announced. Of each ref the hashes that were announced and
not moved away from are known: several only where deliveries arrived in another order than the ref moved.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from danube_pkg.core.repositories.urls import canonical
from danube_pkg.core.triggers.webhooks.events import (
    BranchDeleted,
    PullRequest,
    Push,
    TagDeleted,
    TagPush,
    WebhookRepository,
)
from danube_pkg.kit.records import Record, field, replace

BRANCHES, TAGS = "refs/heads/", "refs/tags/"

MAX_JOBS = 20
"""Jobs that one comparison starts of one repository. After a weekend without the server a team has moved fewer refs;
more are a mirror or an import, whose jobs would delay all others."""

MAX_HEADS = 20_000
"""Branches and tags of a repository that is compared: large projects have ten thousand tags."""

MAX_REF_LENGTH = 512

MAX_HASHES = 20
"""Hashes that are kept of one ref. Forges repeat a delivery a few times, so that few arrive in another order."""

NOTHING = "0" * 40
"""What forges report as the head before a branch or tag was created."""

RefEvent = Push | TagPush | BranchDeleted | TagDeleted


class RefHead(Record):
    """A branch or tag as the repository has it. ref: its full name. sha: the object that it names; commit_sha: the
    commit, which is another for an annotated tag."""

    ref: str
    sha: str
    commit_sha: str


class KnownHead(Record):
    """What was announced of a ref. hashes: newest last; none for a ref that was deleted. change: it grows with each
    announcement."""

    hashes: tuple[str, ...]
    change: int = 0


class HeadFound(Record, tag_field="kind", tag="HeadFound"):
    """A branch or tag that moved without a delivery.

    after: the object that it names now, and commit_sha its commit. before: the hash that was announced last, all zeros
    for a new ref. listed: it starts nothing, since too many refs moved at once.
    """

    repository: WebhookRepository
    ref: str
    commit_sha: str
    before: str
    after: str
    listed: bool = False

    @property
    def movement(self) -> Push | TagPush:
        """The event that a delivery would have reported; its user and message are not known."""
        if self.ref.startswith(TAGS):
            tag = self.ref.removeprefix(TAGS)
            return TagPush(self.repository, tag, self.commit_sha, BY, before=self.before, after=self.after)
        return Push(self.repository, self.ref.removeprefix(BRANCHES), self.commit_sha, BY, before=self.before)

    @property
    def short_name(self) -> str:
        """The branch's or tag's short name."""
        return self.ref.removeprefix(TAGS).removeprefix(BRANCHES)


BY = "comparison"
"""The actor of jobs that a comparison starts."""


class Comparison(Record):
    """What a comparison decides. known: the hashes of refs that are recorded; gone: refs that are forgotten."""

    found: tuple[HeadFound, ...] = ()
    known: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gone: tuple[str, ...] = ()


def repository_at(url: str) -> WebhookRepository:
    """A pipeline's repository as an event names it."""
    return WebhookRepository(canonical(url).partition("/")[2], (url,))


def names_of(repository: WebhookRepository) -> frozenset[str]:
    """All names under which entries of the repository may be stored, in lower case. A forge below a path of its host
    names a repository without that path."""
    return frozenset({repository.name.lower(), *(_canonical(url).partition("/")[2] for url in repository.urls)})


def is_same_repository(one: WebhookRepository, other: WebhookRepository) -> bool:
    """Whether one URL names both."""
    return not {_canonical(url) for url in one.urls}.isdisjoint(_canonical(url) for url in other.urls)


def _canonical(url: str) -> str:
    try:
        return canonical(url).lower()
    except ValueError:
        return ""


def movement_of(event: object) -> tuple[str, str]:
    """The head of a ref before and after an event; "" where it is not known, and after a deletion."""
    match event:
        case Push():
            return event.before, event.commit_sha
        case TagPush():
            return event.before, event.after or event.commit_sha
        case BranchDeleted() | TagDeleted():
            return event.before, ""
        case HeadFound():
            return event.before, event.after
        case PullRequest():
            return "", event.commit_sha
    return "", ""


def announce(known: Sequence[str], event: RefEvent) -> tuple[str, ...]:
    """The hashes that are known of a ref after a delivery. It may have arrived late: what it does not move away from
    stays."""
    before, after = movement_of(event)
    left = [one for one in known if one not in (before, after)] if before else []
    return tuple([*left, after] if after else left)[-MAX_HASHES:]


def compare(
    url: str,
    seen: Sequence[RefHead],
    then: Mapping[str, KnownHead],
    now: Mapping[str, KnownHead],
    jobs_of: Callable[[HeadFound], int | None],
    *,
    first: bool = False,
) -> Comparison:
    """What a comparison with the repository finds.

    url: the pipelines' repository. seen: its refs. then: what was known before they were read; now: what is known now.
    Refs that were announced meanwhile are left to the next comparison. jobs_of: how many jobs a head may start, None
    where it concerns no pipeline. first: the repository was never compared; its heads are recorded and start nothing.
    """
    refs = {one.ref: one for one in seen if now.get(one.ref) == then.get(one.ref)}
    known = {ref: (one.sha,) for ref, one in refs.items() if _hashes(now, ref) != (one.sha,)}
    listed = {one.ref for one in seen}
    gone = tuple(ref for ref, one in now.items() if ref not in listed and then.get(ref) == one)
    found, jobs = list[HeadFound](), 0
    for ref in sorted(known, key=lambda ref: (ref.startswith(TAGS), not _hashes(now, ref), ref)):
        before, one = _hashes(now, ref), refs[ref]
        if first or one.sha in before or one.commit_sha in before:
            continue
        head = HeadFound(repository_at(url), ref, one.commit_sha, before[-1] if before else NOTHING, one.sha)
        count = jobs_of(head)
        if count is None:
            continue
        fits = jobs + count <= MAX_JOBS
        jobs += count if fits else 0
        found.append(head if fits else replace(head, listed=True))
    return Comparison(tuple(found), known, gone)


def _hashes(known: Mapping[str, KnownHead], ref: str) -> tuple[str, ...]:
    return known[ref].hashes if ref in known else ()


def leads_to(head: str, starts: Collection[str], movements: Collection[tuple[str, str]]) -> bool:
    """Whether a ref that had one of the heads `starts` had that head after some of the movements, in any order. "" and
    all zeros: the ref did not exist."""
    steps = [(_or_none(before), _or_none(after)) for before, after in movements]
    reached, found = set[str](), set(starts)
    while found:
        reached |= found
        found = {after for before, after in steps if before in reached} - reached
    return _or_none(head) in reached


def _or_none(sha: str) -> str:
    return sha if sha.strip("0") else ""
