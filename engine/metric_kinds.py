"""The kinds of metrics, their children and their registry; engine/metrics.py defines what there is.

Counted metrics (Counter, Gauge, Histogram of prometheus_client) change where something happens, by children
that are bound once. A `Reading` takes its samples from the process's state at a scrape, and costs no call.
"""

import functools
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from engine import logs

disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry()
# process_cpu_seconds_total, process_resident_memory_bytes, process_open_fds, process_start_time_seconds ...
ProcessCollector(registry=REGISTRY)
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Kind = Literal["counter", "gauge", "histogram"]
Rows: TypeAlias = "Iterable[tuple[Sequence[str], float]]"
Child = TypeVar("Child", Counter, Gauge, Histogram)
_log = logging.getLogger("spr.metrics")


@dataclass(frozen=True, slots=True)
class About:
    """A metric as it is documented. of: the processes that export it."""

    of: str
    kind: Kind
    name: str
    labels: tuple[str, ...]
    help: str


ALL: list[About] = []


class Reading:
    """A metric that is read when it is scraped."""

    def __init__(self, about: About) -> None:
        self._about = about

    def samples(self, rows: Rows) -> Metric:
        """Return the metric with a sample for each (values of the labels, value)."""
        about = self._about
        make = CounterMetricFamily if about.kind == "counter" else GaugeMetricFamily
        family = make(about.name, about.help, labels=about.labels)
        for labels, value in rows:
            family.add_metric(labels, value)
        return family


class Group:
    """Defines the metrics of some processes. Names come with their labels: "spr_rpcs_total{method,code}"."""

    def __init__(self, of: str) -> None:
        self._of = of

    def counter(self, name: str, help: str) -> Counter:
        """Define a counted total."""
        about = self._about("counter", name, help)
        return Counter(about.name, help, about.labels, registry=REGISTRY)

    def gauge(self, name: str, help: str) -> Gauge:
        """Define a value that is set."""
        about = self._about("gauge", name, help)
        return Gauge(about.name, help, about.labels, registry=REGISTRY)

    def histogram(self, name: str, help: str, buckets: Sequence[float] = SECONDS) -> Histogram:
        """Define a distribution."""
        about = self._about("histogram", name, help)
        return Histogram(about.name, help, about.labels, registry=REGISTRY, buckets=buckets)

    def reading(self, name: str, help: str, kind: Kind = "gauge") -> Reading:
        """Define what is read when it is scraped."""
        return Reading(self._about(kind, name, help))

    def _about(self, kind: Kind, given: str, help: str) -> About:
        name, _, labels = given.removesuffix("}").partition("{")
        about = About(self._of, kind, name, tuple(labels.split(",")) if labels else (), help)
        ALL.append(about)
        return about


@functools.cache
def bound(metric: Child, *labels: str) -> Child:
    """Return a metric's child; found by one look into a dictionary from the second time on."""
    return metric.labels(*labels)


class State(Collector):
    """Metrics that `read` returns, at each scrape; from `begin` until `end`."""

    def __init__(self, read: Callable[[], Iterable[Metric]]) -> None:
        self._read = read
        self._fault = logs.Fault(_log, "a part of the metrics")

    def begin(self) -> None:
        """Export them."""
        REGISTRY.register(self)

    def end(self) -> None:
        """Export them no more."""
        REGISTRY.unregister(self)

    def describe(self) -> Iterable[Metric]:
        """Name none: the names of several processes' states may meet in a test."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Return the metrics; none of them where they cannot be read, which costs the others nothing."""
        try:
            found = list(self._read())
        except Exception as error:
            # Another thread changes what is read here.
            self._fault.happened(repr(error), type(error).__name__)
            return []
        self._fault.over()
        return found
