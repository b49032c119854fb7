"""The metrics of several workers, as if one process had counted."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from broker.telemetry.process import SHARED_CPU, cpu_of_workers
from broker.telemetry.requests import SHARED, requests_of_workers

SHOWN_AS: Mapping[str, Callable[[Metric], Iterable[Metric]]] = {
    SHARED: requests_of_workers,
    SHARED_CPU: cpu_of_workers,
}
"""Workers share gauges alone; these stand for other metrics."""


class MetricsOfWorkers(Collector):
    """Show what all workers have published."""

    def __init__(self, published: Collector) -> None:
        self._published = published

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        for metric in self._published.collect():
            if show := SHOWN_AS.get(metric.name):
                yield from show(metric)
            else:
                yield metric
