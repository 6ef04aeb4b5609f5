"""Concurrent clients: how many searches a second, and how long the slowest take."""

from bench import building, models, service
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
            load = service.ask_together(running, texts, clients, sizes.load_seconds)
            more = {
                "clients": clients,
                "queries_s": load.rate,
                "p50_ms": load.laps.median,
                "p99_ms": load.laps.share(0.99),
                "whole": load.whole / len(load.laps.values),
            }
            label = f"{clients} client{'s' if clients > 1 else ''}"
            rows.append(Figure(f"clients_{clients}", label, "ours", load.rate, "queries/s", more))
    return Outcome(
        rows,
        ["Clients and all processes share the cores. whole: answers of all shards and the ranker."],
    )
