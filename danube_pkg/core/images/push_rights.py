"""Which repositories of the server's own registry a pipeline may push to. Pure.

A pipeline owns all names below its own, and those that its YAML lists as `images`, with what is below them: a layer
cache is below the image that it is for, so that no other pipeline can write to it.
"""

from collections.abc import Mapping, Sequence

from danube_pkg.core.errors import Permanent


def owns(pipeline: str, images: Sequence[str], repository: str) -> bool:
    """Whether a pipeline may push to a repository. images: those of its YAML."""
    return repository.startswith(f"{pipeline}/") or not {*images}.isdisjoint(_with_parents(repository))


class ImageOwners:
    """Which pipelines own names. images_of: the `images` of each pipeline, by its name."""

    def __init__(self, images_of: Mapping[str, Sequence[str]]) -> None:
        self._by_name: dict[str, set[str]] = {}
        self._at_or_below: dict[str, set[str]] = {}
        for pipeline, images in images_of.items():
            for name in (pipeline, *images):
                self._by_name.setdefault(name, set()).add(pipeline)
                for parent in _with_parents(name):
                    self._at_or_below.setdefault(parent, set()).add(pipeline)

    def of(self, name: str, *, but: str) -> str:
        """The pipeline, other than `but`, that owns a name or something below or above it; "" if there is none."""
        above = (self._by_name.get(parent, set()) for parent in _with_parents(name))
        found = set().union(*above, self._at_or_below.get(name, set())) - {but}
        return min(found, default="")


def push_refused(pipeline: str, repository: str, images_of: Mapping[str, Sequence[str]]) -> Permanent:
    """The refusal, with the line that would allow the push."""
    what = f"pipeline {pipeline} may not push to {repository}"
    owner = ImageOwners(images_of).of(repository, but=pipeline)
    if owner:
        cause = f"this name belongs to pipeline {owner}"
        return Permanent("push-not-allowed", what, cause=cause, hint=f"push to {pipeline}/{repository} instead")
    listed = [*images_of.get(pipeline, ()), repository]
    return Permanent(
        "push-not-allowed",
        what,
        cause=f"it owns what is below {pipeline}/ and what its configuration lists",
        hint=f"in its YAML: images: [{', '.join(listed)}], or push to {pipeline}/{repository}",
    )


def fork_refused(pipeline: str, repository: str) -> Permanent:
    """The refusal for untrusted code, which would push as the pipeline."""
    return Permanent(
        "push-untrusted",
        f"this job of {pipeline} may not push to {repository}",
        cause="its code is a proposal's, of authors who may not push to the repository",
        hint="push in a job of a branch or tag: if ctx.pull_request is None",
    )


def _with_parents(name: str) -> Sequence[str]:
    """`a/b/c`, `a/b` and `a`."""
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
