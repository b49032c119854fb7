"""What the process uses of its machine, under the names that Prometheus' own libraries give it."""

from collections.abc import Mapping
from typing import Literal

from prometheus_client import Gauge
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector

Across = Literal["livemax", "livemin", "livesum", "sum"]
"""How the gauges of several workers are combined."""

CPU = "process_cpu_seconds"
SHARED_CPU = "wecom_broker_cpu_seconds_of_worker"
ACROSS: Mapping[str, Across] = {
    CPU: "sum",  # also of workers that have ended: a counter never falls
    "process_start_time_seconds": "livemin",
    "process_max_fds": "livemin",
}
"""The others are added up, over workers that live."""


class ProcessOfWorker:
    """Write the numbers of this process where those of all workers are added up."""

    def __init__(self) -> None:
        self._process = ProcessCollector(registry=None)
        self._shared: dict[str, Gauge] = {}

    def publish(self) -> None:
        """Write them."""
        for family in self._process.collect():
            for sample in family.samples:
                self._gauge(family).set(sample.value)

    def _gauge(self, family: Metric) -> Gauge:
        if family.name not in self._shared:
            across = ACROSS.get(family.name, "livesum")
            name = SHARED_CPU if family.name == CPU else family.name
            self._shared[family.name] = Gauge(
                name, family.documentation, registry=None, multiprocess_mode=across
            )
        return self._shared[family.name]


def cpu_of_workers(shared: Metric) -> tuple[Metric]:
    """Return the time that all workers have used, as the counter of one process."""
    used = sum(sample.value for sample in shared.samples)
    return (CounterMetricFamily(CPU, "Total user and system CPU time spent in seconds.", value=used),)
