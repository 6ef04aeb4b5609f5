"""Published data is trained on, built and evaluated by the ordinary commands."""

import json
import shutil
from pathlib import Path

import pytest

from engine.errors import InvalidInput, Mismatch
from tests.trainer.formats import tvr
from trainer.collection.annotations import load_queries
from trainer.collection.segment_samples import segment_samples
from trainer.evaluation.offline import Offline, search_offline
from trainer.evaluation.report import report
from trainer.formats.adopt import adopt_annotations
from trainer.formats.layout import Layout
from trainer.formats.segments import samples_of
from trainer.formats.tvr_import import import_tvr_ranking
from trainer.generation.build import BuildConfig, build
from trainer.projector.settings import ProjectorSettings, ProjectorShape
from trainer.projector.training import train_projector
from trainer.ranker.settings import RankerSettings
from trainer.ranker.training import train_ranker
from workers.ranker.model.relo import ReloConfig
from workers.ranker.model.windows import WindowConfig
from workers.ranker.scoring.relo_ranker import ReloRanker

PROJECTOR = ProjectorSettings(
    model=ProjectorShape(type="meanP", heads=2),
    threshold=0.0,
    steps=4,
    batch=4,
    recall_at=(5,),
    select="recall@5",
)
WINDOW = WindowConfig(video_stream="i3d", subtitle_stream="subtitles-bert", padding="published")
RANKER = RankerSettings(
    model=ReloConfig(hidden=16, heads=2, window=WINDOW),
    depth=10,
    steps=4,
    batch=4,
)


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tvr")
    import_tvr_ranking(Layout(tvr.write_layout(folder / "data")), folder / "c")
    return folder / "c"


def test_the_whole_line_runs_on_it(collection: Path) -> None:
    projector = train_projector(collection, PROJECTOR, device="cpu")
    trained = train_ranker(collection, RANKER, device="cpu")
    config = ReloRanker.open(trained.directory).model.config
    assert (config.visual_dim, config.subtitle_dim, config.query_dim) == (20, 24, 24)
    assert (config.window.clip_length, config.window.video_stream) == (1.5, "i3d")
    built = build(BuildConfig(collection=collection, device="cpu"))
    assert built.embedding_model.endswith(projector.fingerprint)
    queries = load_queries(collection / "annotations" / "test.json")
    figures = report(search_offline(Offline.open(collection, device="cpu"), queries), queries).to_json()
    assert figures["refined"].keys() == figures["coarse"].keys()
    assert figures["retrieval"]["VideoRecall"] == 1.0


def test_a_ranker_of_other_streams_is_refused(collection: Path) -> None:
    with pytest.raises(InvalidInput, match="no stream 'subtitles' but frames, i3d, subtitles-bert"):
        train_ranker(collection, RankerSettings(steps=1), device="cpu")
    window = WindowConfig(video_stream="frames", subtitle_stream="i3d")
    other = RankerSettings(model=ReloConfig(hidden=16, heads=2, window=window), steps=1, batch=4)
    with pytest.raises(Mismatch, match=r"i3d come every 1\.5 s and the ranker was trained for 1\.0 s"):
        train_ranker(collection, other, device="cpu")


def test_given_segment_scores_are_those_trained_on(tmp_path: Path) -> None:
    data = tvr.write_layout(tmp_path / "data", optional=True)
    import_tvr_ranking(Layout(data), tmp_path / "c")
    queries = load_queries(tmp_path / "c/annotations/train.json")
    given = samples_of(tmp_path / "c", "train", queries, 40, 4)
    assert [[tuple(sample) for sample in row] for row in given] == [[("zoo", 1, 0.75, None)]] * 6
    judged = samples_of(tmp_path / "c", "val", load_queries(tmp_path / "c/annotations/val.json"), 40, 4)
    assert judged[0][0].relevance == 2.5
    # Files of another K or D are not theirs: then the scores follow from the moments.
    assert samples_of(tmp_path / "c", "train", queries, 20, 4) == segment_samples(queries, 4)
    assert samples_of(tmp_path / "c", "train", queries, 40, 2) == segment_samples(queries, 2)
    path = tmp_path / "c/annotations/seg_anno/train_top40_seg_4s.json"
    entries = json.loads(path.read_text())
    entries[0]["relevant_segment"].append({**entries[0]["relevant_segment"][0], "score": 0.5})
    path.write_text(json.dumps(entries))
    assert samples_of(tmp_path / "c", "train", queries, 40, 4)[0] == [("zoo", 1, 0.5, None)]


def test_given_files_go_with_the_queries_they_came_with(tmp_path: Path) -> None:
    data, annotations = tvr.write_layout(tmp_path / "data", optional=True), tmp_path / "c/annotations"
    import_tvr_ranking(Layout(data), tmp_path / "c")
    assert (annotations / "coarse_pred/train_top40_pos_neg_samples_context_8.json").is_file()
    shutil.rmtree(data / tvr.LAYOUT["coarse"])
    import_tvr_ranking(Layout(data), tmp_path / "c")
    assert not list((annotations / "coarse_pred").iterdir())
    adopt_annotations(annotations, tmp_path / "c")
    assert not list((annotations / "seg_anno").iterdir())
