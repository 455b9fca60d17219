"""The inbox: webhook deliveries, cron moments and ends of pipelines, with what became of them."""

from typing import Annotated

from danube_pkg.core.documents.marked import about
from danube_pkg.core.triggers.inbox import (
    EntrySource,
    InboxEntry,
    PipelineOutcome,
    Result,
    describe_event,
    repository_of,
)
from danube_pkg.kit.records import Record
from danube_pkg.kit.times import Time, iso, iso_or_none


class OutcomeView(Record):
    """What an entry did to one pipeline."""

    pipeline: Annotated[str, about("The pipeline's name.")]
    result: Annotated[Result, about("Whether a job was started, and if not, how it was decided.")]
    why: Annotated[str, about("Why no job was started, in one sentence; empty if one was.")]
    job: Annotated[str | None, about("The id of the job that was started; null if none was.")]


class DeliveryView(Record):
    """An entry of the inbox."""

    id: Annotated[int, about("Its number; it grows with arrival.")]
    source: Annotated[EntrySource, about("The forge, `cron`, `pipeline`, or `comparison`.")]
    delivery: Annotated[str, about("The source's own id: of a webhook delivery, that of the forge.")]
    event: Annotated[str, about("The event in words.")]
    repository: Annotated[str, about("owner/name, as the forge has it; empty for `cron` and `pipeline`.")]
    received_at: Annotated[Time, about("When it arrived.")]
    settled_at: Annotated[Time | None, about("When it was decided for all pipelines; null before that.")]
    outcomes: Annotated[tuple[OutcomeView, ...], about("One for each pipeline that the caller may see.")]
    note: Annotated[str, about("What concerns it as a whole: an event that is ignored, for example.")]


class DeliveryPage(Record):
    """A page of the inbox."""

    deliveries: Annotated[tuple[DeliveryView, ...], about("Newest first.")]
    cursor: Annotated[int | None, about("The `cursor` of the next page; null on the last.")]


def delivery_view(entry: InboxEntry, visible: frozenset[str] | None) -> DeliveryView:
    """visible: the pipelines that the caller may see; None for all."""
    return DeliveryView(
        id=entry.id,
        source=entry.source,
        delivery=entry.key,
        event=describe_event(entry.event),
        repository=repository_of(entry.event),
        received_at=iso(entry.received_at),
        settled_at=iso_or_none(entry.settled_at),
        outcomes=tuple(_outcome(one) for one in entry.outcomes if visible is None or one.pipeline in visible),
        note=entry.note,
    )


def _outcome(one: PipelineOutcome) -> OutcomeView:
    return OutcomeView(one.pipeline, one.result, one.why, one.job_id or None)
