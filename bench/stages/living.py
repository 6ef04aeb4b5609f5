"""What a corpus costs that changes while it is served: further versions, their memory, their searches."""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from bench import adding, building, catalogues, models, service, workers
from bench import corpus as corpora
from bench.adding import Grown
from bench.results import Figure, Outcome, Setup
from bench.service import Service
from bench.timing import Laps, laps
from engine import versions
from engine.corpus import Known, open_corpus
from engine.entries import Version
from engine.files import sha256
from engine.version_lock import only_writer
from trainer.library.compacting import compact

# Single videos that are added to the published corpus.
_ADDS = 1000
_MILLION = 1_000_000
# Searches that count as the first ones after a restart.
_FIRST = 10
_WORKERS = {"index": "an index worker", "ranker": "the ranker worker"}


def run(setup: Setup) -> Outcome:
    """Serve a collection, open versions with more parts beside it, search them, and restart."""
    sizes = setup.sizes
    collection = building.collection(setup.cache, sizes)
    corpus = corpora.load(setup.cache, sizes.share, sizes.dim)
    adds = max(2 * building.SHARDS, round(_ADDS * sizes.share))
    beside = adding.sizes_after(len(corpus.lengths.names) // building.SHARDS, adds // building.SHARDS)
    with (
        adding.grown(collection, corpus, setup.cache / f"living-{sizes.name}") as grown,
        only_writer(grown.folder),
    ):
        singles = [grown.with_parts([[1]]) for _ in range(max(2, sizes.slow))]
        many = grown.with_parts([beside] * building.SHARDS)
        began = time.perf_counter()
        whole = _compacted(grown, many)
        seconds = time.perf_counter() - began
        rows = _restarts(grown.folder, setup)
        with service.running(grown.folder, setup.threads, log_level="debug") as running:
            service.warm(running, models.texts(sizes.queries))
            rows += [*_opened(running, grown, singles), *_memory(running, singles[0], many)]
            taken = _searched(running, (grown.built, many, whole), setup)
        # Read when the processes have ended: their lines are written after their replies.
        rows += _searches(running.log, taken, len(beside) + 1, seconds)
        videos = max(4000, round(_MILLION * sizes.share))
        rows += _catalogues(grown.folder / "catalogues", grown.folder, videos)
    return Outcome(rows, _notes(adds, beside))


def _compacted(grown: Grown, many: Version) -> Version:
    """Merge the parts of every shard of a version; return the version that this makes."""
    versions.activate(grown.folder, many.id)
    made = versions.read(grown.folder, compact(grown.folder).version)
    versions.activate(grown.folder, grown.built.id)
    return made


def _opened(running: Service, grown: Grown, singles: Sequence[Version]) -> list[Figure]:
    """Time how long a version takes that differs by one small part from the one that is held."""
    rows = []
    for kind, address in (("index", running.index[0]), ("ranker", running.ranker)):
        taken = []
        for version in singles:
            taken.append(workers.prepare(address, version.id))
            workers.drop(address, version.id)
        label = f"a version with one small part more, opened by {_WORKERS[kind]}"
        more = {"longest_s": max(taken), "whole_s": workers.at_start(running.log, kind)}
        rows.append(Figure(f"open_{kind}", label, "ours", statistics.median(taken), "s", more))
    known: Known = {}
    whole = laps(lambda _: open_corpus(grown.folder, grown.built.id), 2, warm=0).median / 1000
    open_corpus(grown.folder, grown.built.id, known)
    ids = [one.id for one in singles]
    again = laps(lambda run: open_corpus(grown.folder, ids[run], known), len(ids), warm=0)
    more = {"longest_s": again.values[-1] / 1000, "whole_s": whole}
    label = "the same, opened by the coordinator"
    rows.append(Figure("open_coordinator", label, "ours", again.median / 1000, "s", more))
    files = grown.files_of(singles[0])
    floor = laps(lambda _: [sha256(path) for path in files], 5).median / 1000
    return [*rows, Figure("open_floor", "checksums of the small part's files", "floor", floor, "s")]


def _memory(running: Service, single: Version, many: Version) -> list[Figure]:
    """Compare what workers hold with one version, with a second one, and with one of many parts as well."""
    rows = []
    for kind, address in (("index", running.index[0]), ("ranker", running.ranker)):
        held = [workers.memory(running, kind)]
        for version in (single, many):
            workers.prepare(address, version.id)
            held.append(workers.memory(running, kind))
        for version in (single, many):
            workers.drop(address, version.id)
        label = f"memory of {_WORKERS[kind]} with two versions against one"
        more = {"one_mb": held[0] / 1e6, "with_many_parts": held[2] / held[0]}
        rows.append(Figure(f"memory_{kind}", label, "ours", held[1] / held[0], "x", more))
    return rows


def _restarts(folder: Path, setup: Setup) -> list[Figure]:
    """Start the service several times; compare its first searches with those of a warm one."""
    texts = iter(models.texts(500, seed=1))
    first: list[float] = []
    warm: list[float] = []
    ready: list[float] = []
    for _ in range(max(2, setup.sizes.slow)):
        began = time.perf_counter()
        with service.running(folder, setup.threads) as running:
            ready.append(time.perf_counter() - began)
            first += service.warm(running, [next(texts) for _ in range(_FIRST)])
            service.warm(running, models.texts(setup.sizes.queries))
            warm += service.warm(running, [next(texts) for _ in range(_FIRST)])
    after, usual = Laps(tuple(sorted(first))), Laps(tuple(sorted(warm)))
    more = {
        "first_p50_ms": after.median,
        "first_p99_ms": after.share(0.99),
        "very_first_ms": max(first[::_FIRST]),
        "warm_p50_ms": usual.median,
        "warm_p99_ms": usual.share(0.99),
        "ready_s": statistics.median(ready),
    }
    label = f"p99 of the first {_FIRST} searches after a restart against a warm service"
    return [Figure("restart", label, "ours", after.share(0.99) / usual.share(0.99), "x", more)]


def _searched(
    running: Service, compared: Sequence[Version], setup: Setup
) -> dict[int, list[tuple[str, float]]]:
    """Ask every query of each version in turn; return (request id, milliseconds) by version."""
    texts = models.texts(setup.sizes.queries)
    for version in compared[1:]:
        workers.prepare_beside(running, version.id)
    names = [str(version.number) for version in compared]
    for name in names:
        service.warm(running, texts, version=name)
    found = service.ask_in_turn(running, texts, 2 * setup.sizes.runs, "living", names)
    return {version.number: found[place :: len(names)] for place, version in enumerate(compared)}


def _searches(
    log: Path, taken: dict[int, list[tuple[str, float]]], parts: int, seconds: float
) -> list[Figure]:
    stages = service.stages(log, "living-")
    rows: list[Figure] = []
    labels = {
        "one": "a search, one part a shard as built",
        "many": f"the same, {parts} parts a shard",
        "compacted": "the same, compacted",
    }
    for (key, label), found in zip(labels.items(), taken.values(), strict=True):
        middle = Laps(tuple(sorted(lap for _, lap in found))).median
        computed = [stages[name] for name, _ in found if name in stages]
        more: dict[str, float | int | str] = {
            f"{stage}_ms": statistics.median(one[stage] for one in computed) for stage in ("retrieve", "rank")
        }
        if rows:
            more["of_one"] = middle / rows[0].value
        if key == "compacted":
            more["build_s"] = seconds
        rows.append(Figure(key, label, "ours", middle, more=more))
    return rows


def _catalogues(folder: Path, collection: Path, videos: int) -> list[Figure]:
    found = catalogues.measure(folder, collection, videos, 8)
    more: dict[str, float | int | str] = {"kilobytes": found.size / 1e3, "read_s": found.read.median / 1000}
    return [
        Figure(
            "million",
            f"the file of a version of {videos:,} videos, written and read",
            "ours",
            (found.written.median + found.read.median) / 1000,
            "s",
            more,
        ),
        Figure("million_open", "that version opened, its catalogues read", "ours", found.opened / 1000, "s"),
        Figure("million_again", "the same, its parts known", "ours", found.again.median / 1000, "s"),
    ]


def _notes(adds: int, beside: Sequence[int]) -> list[str]:
    sizes = ", ".join(map(str, beside))
    return [
        f"Of {adds:,} videos that are added one by one the library leaves parts of {sizes} videos beside the "
        "built one of a shard. One service searches them, the built part alone, and what compaction makes of "
        "them, in turn, query by query; only the built part lacks the added videos.",
        "Workers open a version while they hold the built one. whole_s: seconds that they took for that one "
        "itself, when they started. Memory is resident, mapped files counted.",
        f"As soon as the service is ready after a start, {_FIRST} queries are asked that nobody has asked "
        f"before; {_FIRST} others when it is warm.",
    ]
