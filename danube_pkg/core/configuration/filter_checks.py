"""Checks of `branch_filter`, `paths` and `paths_ignore`: values of the right type that can never match anything.

Branches are compared by their short names, paths as Git lists them, relative to the root of the repository, and both
with the patterns of `core/repositories/globs.py`.
"""

import re

from danube_pkg.core.configuration.pipelines import PipelineSpec, TriggerKind
from danube_pkg.core.documents.marked import Document, Findings

_REMOTES = re.compile(r"(refs/heads/|refs/remotes/[^/]+/|heads/|remotes/[^/]+/|origin/)(?P<branch>.+)")
_REGULAR = re.compile(r"[\^\\\[]|(^|/)\.")
"""What Git refuses in the name of a branch, and what a regular expression is likely to have."""

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~:]|\.\.|@\{|//|\.lock$|\.$|^[/-]|/$")
"""What else no name of a branch contains: git-check-ref-format(1)."""

_BRANCH_KINDS = frozenset({TriggerKind.PUSH, TriggerKind.PULL_REQUEST, TriggerKind.PIPELINE})


def check_filters(document: Document, spec: PipelineSpec, findings: Findings) -> None:
    """Report each pattern that matches nothing, and a filter of branches that no trigger uses."""
    for index, pattern in enumerate(spec.branch_filter):
        path = f"spec.branch_filter[{index}]"
        if problem := _branch_problem(pattern):
            what, hint = problem
            findings.add(document.place(path), f"{path}: {pattern!r} {what}", hint=hint)
    for name, patterns in (("paths", spec.paths), ("paths_ignore", spec.paths_ignore)):
        for index, pattern in enumerate(patterns):
            path = f"spec.{name}[{index}]"
            if problem := _path_problem(pattern):
                what, hint = problem
                findings.add(document.place(path), f"{path}: {pattern!r} {what}", hint=hint)
    kinds = {trigger.kind for trigger in spec.triggers}
    if spec.branch_filter and TriggerKind.TAG in kinds and not kinds & _BRANCH_KINDS:
        what = "spec.branch_filter has no effect: tags are on no branch, and no other trigger has one"
        findings.add(document.place("spec.branch_filter"), what, hint="remove it, and check ctx.tag in the danubefile")


def _branch_problem(pattern: str) -> tuple[str, str] | None:
    if pattern.startswith(("refs/tags/", "tags/")):
        return "is a tag, and a branch never matches it", "for tags: triggers: [{on: tag}]"
    if match := _REMOTES.fullmatch(pattern):
        return "matches no branch: branches are compared by their short names", f"write {match['branch']}"
    if _REGULAR.search(pattern):
        return "looks like a regular expression, and is compared as a pattern", "write, for example: release/* or dev-?"
    if _FORBIDDEN.search(pattern):
        return "can be no branch's name", "write the branch's name as git branch prints it; * and ? are allowed"
    return None


def _path_problem(pattern: str) -> tuple[str, str] | None:
    plain = re.sub(r"^(\./|/)+", "", pattern)
    if plain != pattern:
        return "matches no file: paths start at the root of the repository", f"write {plain or '**'}"
    if pattern.endswith("/"):
        return "matches no file: a directory has none of that name", f"write {pattern}**"
    if "\\" in pattern or any(part in (".", "..") for part in pattern.split("/")):
        return "matches no file", "write the path as git ls-files prints it; *, ** and ? are allowed"
    return None
