"""Sentences found by words, by meaning and by both: what is asked, and what is measured."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from bench.sentences import FILE, WAYS, fused, main, ndcg, read, recall
from tests.workers.ranker.sentences.tiny import tiny_sentences


def description(clip: str, text: str, start: float, end: float) -> dict[str, object]:
    return {"vid_name": clip, "desc": text, "ts": [start, end]}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = []
    for show in range(12):
        clip = f"show{show}_seg01_clip_00"
        rows += [
            description(clip, f"a red ball bounces {show}", 0, 10),
            description(clip, "something spins", 30, 40),
            description(clip, f"the ball moves {show}", 1, 10),
        ]
    # The same sentence twice, and moments that do not meet, ask nothing.
    rows += [description("same_seg01", text, 0, 5) for text in ("A ball", "a  ball")]
    rows += [description("apart_seg01", "a", 0, 5), description("apart_seg01", "b", 6, 9)]
    path = tmp_path / FILE
    path.parent.mkdir()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_a_sentence_asks_for_that_of_another_of_the_same_moment(data: Path) -> None:
    documents, queries = read(data / FILE, 600)
    assert (len(documents), len(queries)) == (24, 12)
    assert {query.val for query in queries} == {True, False}
    for query in queries:
        (found,) = query.relevant
        assert documents[found] == f"a red ball bounces {query.text.rpartition(' ')[2]}"


def test_figures_of_lists_made_by_hand() -> None:
    found = np.array([4, 2, 7])
    assert ndcg(found, frozenset({4})) == 1
    assert ndcg(found, frozenset({2})) == pytest.approx(1 / np.log2(3))
    assert ndcg(found, frozenset({2, 9})) == pytest.approx((1 / np.log2(3)) / (1 + 1 / np.log2(3)))
    assert (ndcg(found, frozenset({9})), recall(found, frozenset({9, 7}))) == (0, 0.5)
    assert fused([found, np.array([7, 2])], (1, 1), 8)[:3].tolist() == [7, 2, 4]
    assert fused([found, np.array([7, 2])], (1, 0), 8)[:3].tolist() == [4, 2, 7]


def test_it_measures_and_skips_with_a_reason(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tiny_sentences(tmp_path / "model")
    assert main(["--data", str(data), "--encoder", str(model), "--device", "cpu"]) == 0
    found = json.loads(capsys.readouterr().out)
    # A number is in one description.
    assert found["ndcg@10"]["words"] == 1
    peers = ["bm25s", "bm25s"] if find_spec("bm25s") else []
    assert [name.split(",")[0] for name in found["ndcg@10"]] == [*WAYS, *peers]
    assert not peers or found["ndcg@10"]["bm25s"] > 0
    assert all(0 <= value <= 1 for value in found["recall@100"].values())
    assert main(["--data", str(tmp_path / "nothing")]) == 0
    assert "is not there" in capsys.readouterr().err
