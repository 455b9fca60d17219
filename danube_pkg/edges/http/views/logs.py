"""A job's log: lines by number, sections by step, hits of a search, times of bytes."""

from typing import Annotated

from danube_pkg.core.documents.marked import about
from danube_pkg.core.logs.index import Found
from danube_pkg.core.logs.lines import Lines
from danube_pkg.kit.records import Record
from danube_pkg.kit.times import Time


class MarkView(Record):
    """What holds from one line of the answer on, up to the next mark."""

    line: Annotated[int, about("The line, counted from 0 at the first line of the answer.")]
    time_ms: Annotated[int, about("When it was written, in Unix milliseconds.")]
    step: Annotated[int, about("The step that wrote it; 0 for the job itself.")]
    note: Annotated[bool, about("True if Danube wrote it: a heading or a notice.")]


class LinesView(Record):
    """Some lines of a log. There may be fewer than requested."""

    first: Annotated[int, about("The number of the first line, from 0.")]
    total: Annotated[int, about("How many lines the log has now.")]
    size_bytes: Annotated[int, about("How long the log is now.")]
    end: Annotated[int, about("The byte offset behind the last line of this answer.")]
    open: Annotated[bool, about("True if the last line of the log has no line end yet.")]
    texts: Annotated[tuple[str, ...], about("Each line as a terminal would leave it.")]
    cut: Annotated[tuple[int, ...], about("Which of the texts are only the beginning of a longer line.")]
    marks: Annotated[tuple[MarkView, ...], about("Times and steps of the lines.")]


class SectionView(Record):
    """Consecutive lines of one step."""

    step: Annotated[int, about("The step's number; 0 for lines about the job itself.")]
    first: Annotated[int, about("The number of the first line, from 0.")]
    lines: Annotated[int, about("How many lines they are.")]


class SectionList(Record):
    """The sections of a log."""

    sections: Annotated[
        tuple[SectionView, ...], about("In the order of the log; steps that ran in parallel alternate.")
    ]


class HitView(Record):
    """A line that holds the text."""

    line: Annotated[int, about("The line's number, from 1.")]
    offset: Annotated[int, about("The byte offset of its first byte.")]
    text: Annotated[str, about("The line, cut to a few hundred bytes.")]


class HitPage(Record):
    """A page of hits."""

    hits: Annotated[tuple[HitView, ...], about("In the order of the log.")]
    next: Annotated[int | None, about("The `from` of the next page; null where every hit is in this one.")]
    count: Annotated[int, about("How many lines have the text from `from` to `searched`, also those of further pages.")]
    searched: Annotated[int, about("The byte offset up to which the log was searched in the time that a search has.")]
    size_bytes: Annotated[int, about("How long the log is now.")]


class TimeView(Record):
    """When a byte was written."""

    at: Annotated[int, about("The byte offset.")]
    time: Annotated[Time | None, about("When it was written; null if there is no such byte.")]


def lines_view(found: Lines) -> LinesView:
    """The lines, with their marks in milliseconds."""
    return LinesView(
        first=found.first,
        total=found.total,
        size_bytes=found.size_bytes,
        end=found.end,
        open=found.is_open,
        texts=tuple(line.text for line in found.lines),
        cut=tuple(number for number, line in enumerate(found.lines) if line.cut),
        marks=tuple(MarkView(one.line, one.time_us // 1000, one.step, one.note) for one in found.marks),
    )


def hit_page(found: Found, size_bytes: int) -> HitPage:
    """size_bytes: the log's."""
    return HitPage(
        tuple(HitView(hit.line, hit.offset, hit.text) for hit in found.hits),
        found.next,
        found.count,
        found.searched,
        size_bytes,
    )
