"""Histograms by one label, kept as plain numbers, so that labels can be summed when they are read."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family

from danube_pkg.edges.http.metrics.definitions import Metric
from danube_pkg.kit.tallies import MAX_LABELS, OTHER


class Observations:
    """How often values fell into buckets, by a label. buckets: upper bounds, ascending."""

    def __init__(self, buckets: Sequence[float]) -> None:
        self._buckets = buckets
        self._by_label: dict[str, tuple[list[int], float]] = {}

    def observe(self, value: float, label: str = "") -> None:
        known = label if label in self._by_label or len(self._by_label) < MAX_LABELS else OTHER
        counts, total = self._by_label.setdefault(known, ([0] * (len(self._buckets) + 1), 0.0))
        counts[bisect_left(self._buckets, value)] += 1
        self._by_label[known] = counts, total + value

    def family(self, metric: Metric, shown: Callable[[str], str] = str) -> Family:
        """shown: the label that the reader sees, for each that was observed."""
        merged: dict[str, tuple[list[int], float]] = {}
        for label, (counts, total) in self._by_label.items():
            name = shown(label)
            known, sum_ = merged.get(name, ([0] * len(counts), 0.0))
            merged[name] = [a + b for a, b in zip(known, counts, strict=True)], sum_ + total
        if not metric.labels and not merged:
            merged[""] = [0] * (len(self._buckets) + 1), 0.0
        family = HistogramMetricFamily(metric.name, metric.text, labels=metric.labels)
        names = [*(f"{limit:g}" for limit in self._buckets), "+Inf"]
        for label, (counts, total) in merged.items():
            cumulative = [(name, float(sum(counts[: at + 1]))) for at, name in enumerate(names)]
            family.add_metric([label] if metric.labels else [], cumulative, total)
        return family


def counter(metric: Metric, counts: Mapping[tuple[str, ...], float]) -> Family:
    """A counter with a sample for each tuple of labels."""
    family = CounterMetricFamily(metric.name.removesuffix("_total"), metric.text, labels=metric.labels)
    for labels, count in counts.items():
        family.add_metric(list(labels), count)
    return family


def gauge(metric: Metric, values: Mapping[tuple[str, ...], float]) -> Family:
    """A gauge with a sample for each tuple of labels."""
    family = GaugeMetricFamily(metric.name, metric.text, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(list(labels), value)
    return family
