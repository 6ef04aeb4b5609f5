"""Segment recall by the relevant segments that came with the data."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from spr_cli.eval import command as evaluate
from tests.trainer.formats import tvr
from trainer.collection.annotations import load_queries
from trainer.formats.layout import Layout
from trainer.formats.segments import segments_beside
from trainer.formats.tvr_export import export_tvr_ranking
from trainer.formats.tvr_import import import_tvr_ranking


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return published files whose val segments are zoo_1 for query 6, none for 7, two for 8."""
    made = tvr.write_layout(tmp_path / "data", optional=True)
    path = made / tvr.LAYOUT["segments"] / "val_seg_4s.json"
    entries = json.loads(path.read_text())
    zoo = entries[0]["relevant_segment"][0]
    entries[1]["relevant_segment"] = [{**zoo, "relevance": 0}]
    entries[2]["relevant_segment"] = [
        {**zoo, "score": 0.25},
        {**zoo, "video_name": "show_b_clip_00", "segment_idx": 3, "score": 0.75, "relevance": 4},
    ]
    tvr.dump(path, entries)
    return made


def measured(run: Path, truth: Path, *options: str) -> Any:
    result = CliRunner().invoke(evaluate, [str(run), str(truth), "--json", *options])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_recall_counts_the_given_segments(data: Path, tmp_path: Path) -> None:
    import_tvr_ranking(Layout(data), tmp_path / "c")
    zoo = [{"video_name": "zoo", "timestamp": [0, 8], "score": 1.0}]
    run = tmp_path / "run.json"
    tvr.dump(run, {str(number): zoo for number in (6, 7, 8)})
    for truth in (tmp_path / "c/annotations/val.json", data / tvr.LAYOUT["annotations"] / "val.json"):
        found = measured(run, truth)
        assert found["segments"] == "given"
        # Query 6: its one segment; 7 has none and does not count; 8: one of two, a quarter of the scores.
        assert found["retrieval"]["SegmentRecall"] == pytest.approx((1 + 1 / 2) / 2)
        assert found["retrieval"]["WeightedSegmentRecall"] == pytest.approx((1 + 1 / 4) / 2)
    # Segments of another length are none of these.
    assert measured(run, truth, "--segment-length", "2")["segments"] == "moments"
    assert segments_beside(tmp_path / "c/annotations/test.json", 4) is None
    assert segments_beside(tmp_path / "c/annotations/corpus_val.json", 4) is None


def test_segments_of_an_export_measure_as_the_moments(data: Path, tmp_path: Path) -> None:
    """What an export writes where nothing was kept says what the moments say."""
    (data / tvr.LAYOUT["segments"] / "val_seg_4s.json").unlink()
    import_tvr_ranking(Layout(data), tmp_path / "c")
    export_tvr_ranking(tmp_path / "c", tmp_path / "out", device="cpu", proposals=False)
    import_tvr_ranking(Layout(tmp_path / "out"), tmp_path / "d")
    names = {
        query.query_id: sorted({moment.video for moment in query.moments})
        for query in load_queries(tmp_path / "c/annotations/val.json")
    }
    run = tmp_path / "run.json"
    tvr.dump(
        run,
        {
            str(query): [{"video_name": video, "timestamp": [4, 16], "score": 1.0} for video in videos]
            for query, videos in names.items()
        },
    )
    one, other = (measured(run, tmp_path / name / "annotations/val.json") for name in "cd")
    assert (one.pop("segments"), other.pop("segments")) == ("moments", "given")
    assert one == other
    assert 0 < one["retrieval"]["SegmentRecall"] < 1
