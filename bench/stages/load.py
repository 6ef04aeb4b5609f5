"""Concurrent clients: how many searches a second, and how long the slowest take."""

import time

from bench import building, models, service, workers
from bench.results import Figure, Outcome, Setup


def run(setup: Setup) -> Outcome:
    """Let more and more clients ask, each its next query as soon as it has an answer."""
    sizes = setup.sizes
    collection = building.collection(setup.cache, sizes)
    texts = models.texts(sizes.queries)
    rows = []
    with service.running(collection, setup.threads) as running:
        service.warm(running, texts)
        service.ask_together(running, texts, max(sizes.clients), sizes.load_seconds / 2)
        for clients in sizes.clients:
            before, own = workers.work(running), time.process_time()
            load = service.ask_together(running, texts, clients, sizes.load_seconds)
            own, asked = time.process_time() - own, len(load.laps.values)
            spent = {kind: done.since(before[kind], asked) for kind, done in workers.work(running).items()}
            more = {
                "clients": clients,
                "queries_s": load.rate,
                "p50_ms": load.laps.median,
                "p99_ms": load.laps.share(0.99),
                "whole": load.whole / asked,
                "clients_cpu_ms": 1e3 * own / asked,
                **{f"{kind}_cpu_ms": done.loop + done.threads for kind, done in spent.items()},
            }
            label = f"{clients} client{'s' if clients > 1 else ''}"
            rows.append(Figure(f"clients_{clients}", label, "ours", load.rate, "queries/s", more))
    return Outcome(
        rows,
        [
            "Clients and all processes share the cores. whole: answers of all shards and the ranker. cpu_ms: "
            "of all processes of a kind, a search.",
        ],
    )
