"""A corpus that is built from its file finds what brute force over the same vectors finds."""

from pathlib import Path

import numpy as np

from bench.huge_build import build, merged
from bench.huge_corpus import generate
from bench.indexes import DEPTH
from engine.corpus import open_corpus
from workers.index.shard import ShardOpener

DIM, SEGMENTS = 16, 1_500


def test_what_is_built_of_a_file_answers_as_brute_force(tmp_path: Path) -> None:
    corpus = generate(tmp_path / "corpus", SEGMENTS, DIM)
    held = np.fromfile(corpus.path, np.float16).reshape(SEGMENTS, DIM).astype(np.float32)
    exact = np.argsort(-(corpus.asked.queries @ held.T), axis=1, kind="stable")[:, :DEPTH]
    assert [set(one) for one in corpus.asked.exact.tolist()] == [set(one) for one in exact.tolist()]
    made = corpus.path.stat().st_mtime_ns
    assert generate(tmp_path / "corpus", SEGMENTS, DIM).path.stat().st_mtime_ns == made

    built = build(tmp_path / "c", corpus)
    assert (built.recall, built.version.segments) == (1.0, SEGMENTS)
    opened = [ShardOpener(one.name, "cpu")(open_corpus(tmp_path / "c")) for one in built.version.shards]
    found = merged(corpus, [shard.search(corpus.asked.queries, DEPTH) for shard in opened])
    assert [set(one.tolist()) for one in found] == [set(one) for one in exact.tolist()]
