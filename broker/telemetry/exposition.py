"""Metrics as the text that Prometheus scrapes, in pieces: calls go on between two of them."""

from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass

from prometheus_client import disable_created_metrics, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

SAMPLES = 100
"""How many samples a piece has at most: a millisecond's work."""

# When each series was made: as many lines again, which Prometheus' own text format does not use.
disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Collected(Collector):
    """A metric that was collected."""

    metric: Metric

    def collect(self) -> Iterable[Metric]:
        """See `Collector`."""
        return [self.metric]


def pieces(metrics: Iterable[Metric]) -> Iterator[bytes]:
    """Yield the text of the metrics, with at most `SAMPLES` lines of values in a piece."""
    for metric in metrics:
        for start in range(0, len(metric.samples) or 1, SAMPLES):
            part = copy(metric)
            part.samples = metric.samples[start : start + SAMPLES]
            text = generate_latest(Collected(part))
            yield _without_head(text) if start else text


def _without_head(text: bytes) -> bytes:
    """Return the text without its HELP and TYPE, which the first piece of the metric has."""
    return text.split(b"\n", maxsplit=2)[2]
