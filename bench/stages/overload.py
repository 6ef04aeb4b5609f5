"""More searches than can be answered: how many are, whole and in time, and how soon others are refused."""

import time
from dataclasses import replace

from bench import building, models, service, workers
from bench.open_loop import Asked, Outcomes, load
from bench.results import Figure, Outcome, Setup

_CLIENTS = 32
_DEADLINES, _FACTORS = (1.0, 10.0), (1, 2, 5, 10)


def run(setup: Setup) -> Outcome:
    """Measure the peak with clients that wait for their answers, then ask at multiples of its rate."""
    sizes = setup.sizes
    collection = building.collection(setup.cache, sizes)
    texts = models.texts(sizes.queries)
    rows = []
    with service.running(collection, setup.threads) as running:
        service.warm(running, texts)
        base = Asked(address=running.address, texts=texts, seconds=sizes.load_seconds, deadline=10.0)
        before = workers.memory_of_all(running)
        for deadline in _DEADLINES:
            # Anew: the machine's other work changes what there is to share.
            peak = load(replace(base, clients=_CLIENTS))
            rows.append(_peak(deadline, peak))
            for factor in _FACTORS:
                # Long enough that a queue of the deadline's length fills, and shows what comes of it.
                seconds = sizes.load_seconds * min(2.0, max(1.0, 1.6 * deadline / sizes.load_seconds))
                rate = factor * max(1.0, peak.goodput)
                found = load(replace(base, deadline=deadline, seconds=seconds, rate=rate))
                rows.append(_row(deadline, factor, found, peak))
                time.sleep(deadline / 10)
        grown = (workers.memory_of_all(running) - before) / 1e6
    rows.append(Figure("memory", "growth of all processes", "ours", grown, "MB"))
    return Outcome(
        rows,
        [
            "Every second sentence was never asked before. Goodput: complete answers within the deadline. "
            "The peak is of 32 clients that wait; the others ask at a fixed rate, from other processes that "
            "share the cores with the service.",
        ],
    )


def _peak(deadline: float, peak: Outcomes) -> Figure:
    label = f"peak, before the searches of {deadline:g} s"
    return Figure(f"peak_{deadline:g}", label, "ours", peak.goodput, "queries/s")


def _row(deadline: float, factor: int, found: Outcomes, peak: Outcomes) -> Figure:
    more = {
        "of_peak": found.goodput / max(peak.goodput, 1e-9),
        "sent_s": found.sent,
        "refused_s": len(found.refused) / found.seconds,
        "refused_p50_ms": found.refused_ms(0.5),
        "refused_p99_ms": found.refused_ms(0.99),
        **{f"{kind.lower()}_s": count / found.seconds for kind, count in sorted(found.others.items())},
    }
    label = f"{factor} x the peak's rate, deadline {deadline:g} s"
    return Figure(f"at_{factor}x_{deadline:g}", label, "ours", found.goodput, "queries/s", more)
