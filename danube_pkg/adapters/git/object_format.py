"""The object format of repositories: Danube reads those whose objects have SHA-1 names. Runs in the worker process."""

from collections.abc import Iterable

from dulwich.repo import Repo

from danube_pkg.core.errors import Permanent

SHA1_DIGITS = 40


def check_format(name: str, hashes: Iterable[bytes]) -> None:
    """Refuse a repository before anything of it is fetched. hashes: some of its object names. Raises Permanent."""
    if any(len(one) != SHA1_DIGITS for one in hashes):
        raise _not_built(name)


def check_repository(repo: Repo, name: str) -> None:
    """The same for a repository on this machine, which may have no object yet."""
    if repo.object_format.name != "sha1":
        raise _not_built(name)


def _not_built(name: str) -> Permanent:
    return Permanent(
        "source-unavailable",
        f"{name} has the object format sha256, and such repositories cannot be built",
        hint="convert it into one with the object format sha1, with git fast-export and git fast-import",
    )
