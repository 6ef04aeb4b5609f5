"""The word index over texts of the published number of segments, beside SQLite's FTS5."""

import contextlib
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.results import Figure, Outcome, Setup
from bench.timing import Laps, laps
from workers.index.lexicon import Lexicon
from workers.index.words import WordIndex

_SEGMENTS = 383_828
_WORDS = 60_000
# What is said in 4 s, with the lines that reach into them.
_LEAST, _MOST = 6, 24
_HITS = 200
_CHANNEL = "said"

# A process of its own: what the texts take does not count.
_RESIDENT = """
import json, sys
from pathlib import Path
from workers.index.lexicon import Lexicon
from workers.index.words import WordIndex
from workers.resident import resident_bytes
folder, sha256, size, queries = json.load(sys.stdin)
WordIndex.build(["a"], Lexicon.of({}).channel("said")).search("a", 1)
before = resident_bytes()
index = WordIndex.open(Path(folder) / "words", Lexicon.read(Path(folder), sha256).channel("said"), size)
for query in queries:
    index.search(query, 200)
print(resident_bytes() - before)
"""


def run(setup: Setup) -> Outcome:
    """Build, open and search the index; then ask FTS5 the same."""
    rng = np.random.default_rng(3)
    words, share = _vocabulary(rng), _zipf()
    size = max(100, round(_SEGMENTS * setup.sizes.share))
    lengths = rng.integers(_LEAST, _MOST, size)
    drawn = np.split(words[rng.choice(_WORDS, int(lengths.sum()), p=share)], np.cumsum(lengths)[:-1])
    documents = [" ".join(one) for one in drawn]
    count = 5 * setup.sizes.runs
    queries = [" ".join(words[rng.choice(_WORDS, rng.integers(3, 13), p=share)]) for _ in range(count)]
    with tempfile.TemporaryDirectory(dir=setup.cache) as folder:
        row = _ours(Path(folder), documents, queries)
    rows = [row]
    notes = [
        f"{size:,} texts of {_LEAST} to {_MOST - 1} words, {_WORDS:,} words drawn by Zipf's law, the best "
        f"{_HITS} of each query; resident is what a process gains that opens the index and answers all.",
    ]
    try:
        rows.append(_fts5(documents, queries))
    except sqlite3.OperationalError as error:
        notes.append(f"FTS5 was not measured: {error}.")
    return Outcome(rows, notes)


def _ours(folder: Path, documents: Sequence[str], queries: Sequence[str]) -> Figure:
    began = time.perf_counter()
    lexicon = Lexicon.of({_CHANNEL: documents})
    lexicon.save(folder)
    WordIndex.build(documents, lexicon.channel(_CHANNEL)).save(folder / "words")
    seconds = time.perf_counter() - began
    index = WordIndex.open(folder / "words", lexicon.channel(_CHANNEL), len(documents))
    taken = laps(lambda run: index.search(queries[run % len(queries)], _HITS), len(queries))
    asked = json.dumps([str(folder), lexicon.sha256, len(documents), queries])
    command = [sys.executable, "-c", _RESIDENT]
    found = subprocess.run(command, input=asked, capture_output=True, text=True, check=True, timeout=600)
    disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    more = {
        "p99_ms": taken.share(0.99),
        "resident_mb": int(found.stdout) / 1e6,
        "disk_mb": disk / 1e6,
        "build_s": seconds,
    }
    return Figure("ours", "a query of 3 to 12 words", "ours", taken.median, more=more)


def _fts5(documents: Sequence[str], queries: Sequence[str]) -> Figure:
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        began = time.perf_counter()
        database.execute("create virtual table texts using fts5(text, content='', tokenize='unicode61')")
        rows = enumerate(documents, 1)
        database.executemany("insert into texts (rowid, text) values (?, ?)", rows)
        seconds = time.perf_counter() - began
        asked = "select rowid from texts where texts match ? order by rank limit ?"

        def search(run: int) -> None:
            either = " OR ".join(queries[run % len(queries)].split())
            database.execute(asked, (either, _HITS)).fetchall()

        taken: Laps = laps(search, len(queries))
    more = {"p99_ms": taken.share(0.99), "build_s": seconds}
    return Figure("fts5", "the same, SQLite FTS5 in memory", "published", taken.median, more=more)


def _vocabulary(rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    """Return words of 4 to 12 letters, short ones first, as in a language."""
    letters = rng.integers(ord("a"), ord("z") + 1, (_WORDS, 12), np.uint8)
    lengths = np.minimum(4 + np.arange(_WORDS) // 1000, 12)
    return np.array([row[:length].tobytes().decode() for row, length in zip(letters, lengths, strict=True)])


def _zipf() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    share = 1 / np.arange(1, _WORDS + 1)
    return np.asarray(share / share.sum())
