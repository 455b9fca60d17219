"""Artifacts that are uploaded only when the danubefile fails."""

from dataclasses import dataclass
from pathlib import Path

from danube._errors import DanubeError

MAX_REGISTERED = 50
"""A failure is explained by a few files."""


@dataclass(frozen=True)
class KeptOnFailure:
    """What `artifacts.on_failure` was called with, and the workspace that the path is relative to."""

    path: str
    name: str
    workspace: Path


registered: list[KeptOnFailure] = []


def register(kept: KeptOnFailure) -> None:
    """Raises DanubeError for one too many, and for a name that is registered."""
    if any(one.name == kept.name for one in registered):
        what = f"the artifact {kept.name!r} is registered already"
        raise DanubeError("artifact-invalid", what, hint="give each its own name")
    if len(registered) >= MAX_REGISTERED:
        what = f"at most {MAX_REGISTERED} artifacts can be registered for a failure"
        raise DanubeError("artifact-invalid", what, hint="name a directory, or a pattern: logs/**")
    registered.append(kept)
