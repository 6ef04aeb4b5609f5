"""The nearest 200 of the published corpus by other libraries, beside ours at the same recall."""

import importlib.util
import shutil
import time
from pathlib import Path

from bench import corpus as corpora
from bench.corpus import Corpus
from bench.indexes import DEPTH, GroundTruth
from bench.peers import LIBRARIES, Library, Peer
from bench.results import Figure, Outcome, Setup
from bench.stages import index
from bench.timing import laps
from engine.files import read_json, write_json
from workers.index.factory import AUTO_RECALL


def run(setup: Setup) -> Outcome:
    """Ask every library that is installed, each at the least effort that finds what `auto` is asked for."""
    sizes = setup.sizes
    corpus = corpora.load(setup.cache, sizes.share, sizes.dim)
    asked = GroundTruth(corpus.queries, corpora.exact(corpus.vectors, corpus.queries, DEPTH))
    rows = index.figures(setup, corpus, asked, "default")
    notes = [
        f"Each is asked one query after the other, at the least effort that finds {AUTO_RECALL} or at its "
        "most. Built on all cores, ours once a run, the others once. Memory: what the index is on disk. "
        "LanceDB searches with threads of its own.",
    ]
    for library in LIBRARIES:
        if not sizes.published:
            notes.append(f"{library.name} takes minutes to build; quick runs leave it out.")
        elif importlib.util.find_spec(library.name) is None:
            notes.append(f"{library.name} is not installed: pip install 'spr[peers]'.")
        else:
            rows.append(_peer(setup, corpus, asked, library))
    return Outcome(rows, notes)


def _peer(setup: Setup, corpus: Corpus, asked: GroundTruth, library: Library) -> Figure:
    folder, seconds = _built(setup.cache, corpus, library)
    peer = library.open(folder)
    for effort in library.efforts:
        recall = _recall(peer, asked, effort)
        if recall >= AUTO_RECALL:
            break

    def search(run: int) -> None:
        peer.search(asked.queries[run % len(asked.queries)], effort)

    taken = laps(search, setup.sizes.runs, warm=20, seconds=15)
    more: dict[str, float | int | str] = {
        "recall@200": recall,
        "p99_ms": taken.share(0.99),
        "disk_mb": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6,
        "build_s": seconds,
        "effort": str(effort),
    }
    return Figure(library.name, library.label, "published", taken.median, more=more)


def _recall(peer: Peer, asked: GroundTruth, effort: int) -> float:
    return asked.recall([peer.search(query, effort) for query in asked.queries], DEPTH)


def _built(cache: Path, corpus: Corpus, library: Library) -> tuple[Path, float]:
    """Return where an index lies and the seconds that it took; it is built once."""
    folder = cache / f"peer-{library.name}-{len(corpus.counts)}x{corpus.vectors.shape[1]}"
    about = folder / "bench.json"
    if not about.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        began = time.perf_counter()
        library.build(corpus.vectors, folder)
        write_json(about, {"seconds": time.perf_counter() - began})
    return folder, float(read_json(about)["seconds"])
