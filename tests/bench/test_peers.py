"""Each library that ours is measured beside finds what brute force finds, where it is installed."""

from pathlib import Path

import numpy as np
import pytest

from bench.indexes import DEPTH
from bench.peers import LIBRARIES, Library
from bench.results import RUN, Setup
from bench.sizes import TINY
from bench.stages import peers
from tests.workers.index.factories import clustered


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_a_peer_finds_what_is_nearest(library: Library, tmp_path: Path) -> None:
    pytest.importorskip(library.name)
    vectors = clustered(600, 16)
    library.build(vectors, tmp_path)
    peer = library.open(tmp_path)
    for row in (0, 300, 599):
        found = peer.search(vectors[row], library.efforts[-1])
        exact = np.argsort(-(vectors @ vectors[row]), kind="stable")[:DEPTH]
        assert len(set(found.tolist()) & set(exact.tolist())) >= 0.95 * DEPTH


def test_a_peer_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    found = peers.run(Setup(TINY, tmp_path, 1))
    assert [row.way for row in found.rows] == ["ours"]
    assert sum("pip install 'spr[peers]'" in note for note in found.notes) == len(LIBRARIES)


@pytest.mark.parametrize(("run", "anew"), [("one", False), ("other", True), ("", True)])
def test_what_a_stage_built_the_others_of_its_run_use(
    run: str, anew: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    built = []
    for one in ("one" if run else "", run):
        monkeypatch.setenv(RUN, one)
        rows = peers.run(Setup(TINY, tmp_path, 1)).rows
        assert [row.key for row in rows] == ["default"]
        built.append(next(tmp_path.glob("index-default-*/bench.json")).stat().st_mtime_ns)
    assert (built[0] != built[1]) is anew
