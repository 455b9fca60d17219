"""Liveness and readiness."""

from typing import Annotated

from danube_pkg.core.documents.marked import about
from danube_pkg.core.health.subsystems import Part, PartHealth
from danube_pkg.kit.records import Record
from danube_pkg.kit.times import Time, iso


class PartView(Record):
    """A subsystem without which the server cannot do its work."""

    part: Annotated[Part, about("Which subsystem.")]
    ok: Annotated[bool, about("Whether it works.")]
    since: Annotated[Time, about("Since when it is as it is; at most since the server's start.")]
    reference: Annotated[str, about("The stable name of what is wrong; empty if it works.")]
    reason: Annotated[str, about("What is wrong, in one sentence; empty without the right to see the server's state.")]
    hint: Annotated[str, about("How to fix it; empty without the right to see the server's state.")]


def part_view(health: PartHealth, *, is_full: bool) -> PartView:
    """is_full: whether the reader may see sentences, which name directories, repositories and addresses."""
    first = health.conditions[0] if health.conditions else None
    reference = first.reference if first is not None else ""
    reason, hint = (first.what, first.hint) if first is not None and is_full else ("", "")
    return PartView(health.part, health.ok, iso(health.since), reference, reason, hint)


class HealthView(Record):
    """Whether the server is alive and ready."""

    status: Annotated[str, about("ok, ready, not-ready or draining.")]
    conditions: Annotated[
        tuple[str, ...],
        about("References of what does not work: dex-not-running, disk-full. See `danube config status`."),
    ] = ()
    parts: Annotated[tuple[PartView, ...], about("The subsystems; empty in the answer of `/health`.")] = ()
