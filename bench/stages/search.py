"""Whole searches over gRPC, one at a time: real processes, two shards, queries that were asked before."""

import statistics

from bench import building, models, service, workers
from bench.results import Figure, Outcome, Setup
from bench.timing import Laps


def run(setup: Setup) -> Outcome:
    """Ask new sentences of a warm service, and old ones; say what stages computed and what the path took."""
    sizes = setup.sizes
    collection = building.collection(setup.cache, sizes)
    texts = models.texts(sizes.queries)
    with service.running(collection, setup.threads, log_level="debug") as running:
        for _ in range(2):
            service.warm(running, texts)
        # Of another seed: nobody asked them. What a cold service costs is measured with restarts.
        first = service.warm(running, models.texts(sizes.queries, seed=1))
        before, count = workers.work(running), 2 * sizes.runs
        again = service.ask_in_turn(running, texts, count, "again")
        spent = {kind: done.since(before[kind], count) for kind, done in workers.work(running).items()}
    # Read when the processes have ended: their lines are written after their replies.
    computed = service.stages(running.log, "again-")
    known = [(computed[name], elapsed) for name, elapsed in again if name in computed]
    seen, unseen = _laps([lap for _, lap in again]), _laps(first)
    over = _laps([elapsed - sum(parts.values()) for parts, elapsed in known])
    stages = {
        f"{stage}_ms": statistics.median(parts.get(stage, 0.0) for parts, _ in known)
        for stage in ("encode", "retrieve", "propose", "rank")
    }
    floor = statistics.median(sum(parts.values()) for parts, _ in known)
    more = {"p95_ms": seen.share(0.95), "p99_ms": seen.share(0.99)}
    return Outcome(
        [
            Figure("p50", "a search, its query encoded before", "ours", seen.median, more=more),
            Figure("new", "a search, its query never seen", "ours", unseen.median),
            Figure("overhead", "what the path adds to the stages", "ours", over.median),
            Figure("floor", "what the stages computed", "floor", floor, more=stages),
            *(_of_process(kind, done) for kind, done in spent.items()),
        ],
        [
            "A coordinator, two index workers of one thread each, a ranker worker that also encodes, and the "
            "client share the cores. The stages are what each process logs of its call at debug level; of "
            "two shards the slower one counts, and the CPU of both. "
            "loop_ms: of the event loop's thread. The published system has no service to compare with.",
        ],
    )


def _of_process(kind: str, done: workers.Work) -> Figure:
    more = {"loop_ms": done.loop, "threads_ms": done.threads, "waits": done.waits}
    return Figure(
        f"cpu_{kind}", f"CPU of {kind}, a known search", "ours", done.loop + done.threads, more=more
    )


def _laps(values: list[float]) -> Laps:
    return Laps(tuple(sorted(values)))
