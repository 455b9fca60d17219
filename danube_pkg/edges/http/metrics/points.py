"""The families of `/metrics` as points, for a receiver that they are sent to."""

from collections.abc import Iterable, Sequence

from prometheus_client.core import Metric as Family
from prometheus_client.samples import Sample

from danube_pkg.core.metrics.points import MetricKind, MetricPoint, MetricPoints

Labels = tuple[tuple[str, str], ...]


def points_of(families: Iterable[Family]) -> Sequence[MetricPoints]:
    """Counters have the `_total` of the text format in their names. Kinds that OTLP has not are left out; Danube makes
    none."""
    found = []
    for family in families:
        if family.type == "histogram":
            found.append(MetricPoints(family.name, family.documentation, MetricKind.HISTOGRAM, _histogram(family)))
        elif family.type in ("counter", "gauge"):
            kind = MetricKind(family.type)
            name = f"{family.name}_total" if kind is MetricKind.COUNTER else family.name
            points = tuple(MetricPoint(one.labels, one.value) for one in family.samples if one.name == name)
            found.append(MetricPoints(name, family.documentation, kind, points))
        elif family.type == "info":
            points = tuple(MetricPoint(one.labels, one.value) for one in family.samples)
            found.append(MetricPoints(f"{family.name}_info", family.documentation, MetricKind.GAUGE, points))
    return found


def _histogram(family: Family) -> tuple[MetricPoint, ...]:
    """The buckets of the text format include those below; the points' do not."""
    buckets: dict[Labels, list[Sample]] = {}
    sums: dict[Labels, float] = {}
    for sample in family.samples:
        labels = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
        if sample.name.endswith("_bucket"):
            buckets.setdefault(labels, []).append(sample)
        elif sample.name.endswith("_sum"):
            sums[labels] = sample.value
    points = []
    for labels, samples in buckets.items():
        upto = [int(one.value) for one in samples]
        counts = tuple(count - before for before, count in zip([0, *upto], upto, strict=False))
        bounds = tuple(float(one.labels["le"]) for one in samples[:-1])
        points.append(MetricPoint(dict(labels), sums[labels], bounds, counts))
    return tuple(points)
