"""Metrics of the versions that a worker holds, read when they are scraped."""

import time
from collections.abc import Iterator
from typing import Any

from prometheus_client.metrics_core import Metric

from engine import metrics
from workers.versions import Held


def read(held: Held[Any]) -> Iterator[Metric]:
    """Yield what is held, how far the scrub is behind, and what it found."""
    yield metrics.HELD.samples(
        ((one.collection, one.version, "damaged" if one.fault else "sound"), 1.0) for one in held.listing()
    )
    watches, now = held.watches, time.time()
    oldest = min((one.hashed for one in watches), default=now)
    yield metrics.SCRUB_AGE.samples([((), max(0.0, now - min(oldest, now)))])
    yield metrics.SCRUB_FAULTS.samples([((), sum(bool(one.fault) for one in watches))])
