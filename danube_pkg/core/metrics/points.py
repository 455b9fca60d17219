"""The state of all metrics at one moment. Counters and histograms count from the server's start."""

from collections.abc import Mapping
from enum import StrEnum

from danube_pkg.kit.records import Record


class MetricKind(StrEnum):
    """counter: only grows. gauge: goes up and down. histogram: how many values fell into which bucket."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class MetricPoint(Record):
    """The value for one set of labels. bounds, counts: of a histogram, the upper bounds in ascending order, and how
    many values fell into each bucket and above the last; `value` is their sum then."""

    labels: Mapping[str, str]
    value: float
    bounds: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()


class MetricPoints(Record):
    """A metric by the name that Prometheus' text format has, with its points."""

    name: str
    text: str
    kind: MetricKind
    points: tuple[MetricPoint, ...]


class Period(Record):
    """What counters have counted over, in Unix seconds."""

    begin: float
    end: float
