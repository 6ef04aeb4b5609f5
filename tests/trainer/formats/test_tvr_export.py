import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from engine.errors import InvalidInput, NotFound
from spr_cli.corpus_export_tvr_ranking import command
from tests import numeric
from tests.trainer.formats import tvr
from tests.trainer.ranker.world import make_collection
from tests.workers.feature_store.stores import with_source
from trainer.collection.annotations import load_queries, save_queries
from trainer.collection.places import features_directory
from trainer.collection.queries import QueryFeatures
from trainer.evaluation.offline import Offline, search_offline
from trainer.evaluation.report import report
from trainer.formats.checkpoints import Choices, read_checkpoint
from trainer.formats.layout import Layout
from trainer.formats.sidecar import clip_step
from trainer.formats.tvr_export import export_tvr_ranking
from trainer.formats.tvr_import import import_tvr_ranking
from trainer.generation.build import BuildConfig, build
from workers.feature_store.store import FeatureStore, Stream
from workers.ranker.projection.projector import Projector, ProjectorConfig
from workers.ranker.stores.checkpoint import save_model


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection as ingest leaves it: float16, frames and subtitles a second."""
    made = make_collection(tmp_path_factory.mktemp("native") / "c", train=10, val=4)
    judged = load_queries(made / "annotations" / "val.json")
    others = [replace(query, query_id=query.query_id + 1000) for query in judged]
    save_queries(made / "annotations" / "val.json", others)
    (folder,) = (made / "features").iterdir()
    old = FeatureStore.open(folder)
    whole = {"frames": Stream(24, 1.0), "subtitles": Stream(24, 1.0)}
    meta = {**old.meta, "encoder": "made-up"}
    with FeatureStore.create(folder.with_name("half"), whole, "float16", meta) as store:
        for video in old.ids():
            arrays = {name: old.rows(video, name) for name in whole}
            # One video nobody speaks in, one whose last seconds are silent.
            arrays["subtitles"] = arrays["subtitles"][: {"v000": 0, "v001": 9}.get(video)]
            record = old.record(video)
            info = {"fps": 30, "note": "ö"}
            store.append(video, arrays, f"file:///{video}.mp4", "ab" * 32, record.duration, info)
    for file in folder.iterdir():
        file.unlink()
    for file in folder.with_name("half").iterdir():
        file.rename(folder / file.name)
    folder.with_name("half").rmdir()
    return made


@pytest.fixture(scope="module")
def exported(native: Path) -> Path:
    export_tvr_ranking(native, native.parent / "out", all_moments=True, device="cpu")
    return native.parent / "out"


def table(collection: Path) -> Any:
    build(BuildConfig(collection=collection, device="cpu"))
    queries = load_queries(collection / "annotations" / "val.json")
    return report(search_offline(Offline.open(collection, device="cpu"), queries), queries).to_json()


def test_a_collection_comes_back_as_it_was(native: Path, exported: Path, tmp_path: Path) -> None:
    assert clip_step(exported) == 1.0
    imported = import_tvr_ranking(Layout(exported, arch="CLIP-other", step=1.0), tmp_path / "c")
    before, after = (features_directory(path) for path in (native, tmp_path / "c"))
    assert imported.encoder == before.name == after.name
    for name in ("frames.bin", "subtitles.bin", "journal.jsonl"):
        assert (before / name).read_bytes() == (after / name).read_bytes()
    for name in ("train", "val", "corpus_train", "corpus_val"):
        given, made = (path / "annotations" / f"{name}.json" for path in (native, tmp_path / "c"))
        assert json.loads(given.read_text()) == json.loads(made.read_text())
    texts = [q.query for q in load_queries(native / "annotations" / "val.json")]
    one, other = (QueryFeatures(path / "queries" / before.name) for path in (native, tmp_path / "c"))
    np.testing.assert_array_equal(one.pooled(texts), other.pooled(texts))
    for text in texts:
        np.testing.assert_array_equal(one.tokens(text), other.tokens(text))


def test_it_is_searched_with_the_same_figures(native: Path, exported: Path, tmp_path: Path) -> None:
    import_tvr_ranking(Layout(exported, arch="CLIP-other", step=1.0), tmp_path / "c")
    after = table(tmp_path / "c")
    assert after["refined"]["NDCG@10,IoU>=0.3"] > 0.05
    # The made-up encoder cannot be loaded, so the original is searched by what is stored of it too.
    features = features_directory(native)
    with_source(features, f"queries/{features.name}")
    assert table(native) == after
    with pytest.raises(NotFound, match="'nobody asked this' are not among the"):
        Offline.open(native, device="cpu").answer("nobody asked this")


def test_the_published_loaders_find_what_they_assert(native: Path, exported: Path) -> None:
    layout = Layout(exported, arch="CLIP-other", step=1.0)
    frames = tvr.read_h5(layout.path("clip"))
    counts = json.loads(layout.path("counts").read_text())
    assert list(counts) == sorted(frames) == list(json.loads(layout.path("corpus").read_text()))
    for video, count in counts.items():
        assert (count - 1) * 4 < len(frames[video]) <= count * 4
        assert np.load(layout.path("segment_features") / f"{video}.npy").shape == (count, 24)
    train = json.loads(layout.path("train").read_text())
    samples = json.loads(layout.path("samples").read_text())
    ids = {str(entry["query_id"]) for entry in train}
    assert samples["pos"].keys() == samples["neg"].keys() == ids
    assert ids <= tvr.read_h5(layout.path("queries")).keys()
    assert "8" in layout.path("samples").name
    video, spoken = (tvr.read_h5(layout.path(name)) for name in ("video", "subtitles"))
    assert all(len(video[name]) == len(spoken[name]) == len(spoken[f"{name}-mask"]) for name in video)
    assert not spoken["v000"].any()
    assert spoken["v001"][9:].any() == np.False_
    segments = json.loads(layout.path("segments_train").read_text())
    assert {"video_name", "segment_idx", "duration", "score"} == segments[0]["relevant_segment"][0].keys()


def test_samples_are_those_of_a_loop(native: Path, exported: Path) -> None:
    """Positives overlap their moment when widened; the pair's own video only; negatives match nothing."""
    layout = Layout(exported, arch="CLIP-other", step=1.0)
    samples = json.loads(layout.path("samples").read_text())
    matched = unmatched = 0
    for query in load_queries(native / "annotations" / "train.json"):
        positives = samples["pos"][str(query.query_id)]
        for moment in query.moments:
            for found in positives.get(str(moment.pair_id), []):
                start, end = found["timestamp"]
                assert found["video_name"] == moment.video
                assert start - 8 < moment.end
                assert end + 8 > moment.start
                matched += 1
        for found in samples["neg"][str(query.query_id)]:
            start, end = found["timestamp"]
            for moment in query.moments:
                apart = start - 8 >= moment.end or end + 8 <= moment.start
                assert found["video_name"] != moment.video or apart
            unmatched += 1
    assert matched > 50
    coarse = json.loads(layout.path("coarse_val").read_text())
    for answers in coarse.values():
        ranks = [answer["moment_rank"] for answer in answers]
        assert ranks == sorted(ranks)
        assert ranks[0] == 0


def test_refusals(native: Path, exported: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="holds an export already"):
        export_tvr_ranking(native, exported, device="cpu")
    (tmp_path / "features" / "x").mkdir(parents=True)
    with FeatureStore.create(tmp_path / "features" / "f", {"frames": Stream(2, 1.0)}):
        pass
    with pytest.raises(NotFound, match="no judged queries"):
        export_tvr_ranking(tmp_path, tmp_path / "out", device="cpu")


def test_the_command(native: Path, tmp_path: Path) -> None:
    arguments = [
        str(native),
        str(tmp_path / "out"),
        "--no-proposals",
        "--projector",
        "none",
        "--device",
        "cpu",
    ]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    assert "14 videos" in result.stdout
    assert "(MeanPool)" in result.stdout
    assert not (tmp_path / "out" / "TVR/TVR-Ranking/coarse_pred").exists()
    # Features a second and 24 wide: what stage 3 has to be told, and who does not know such a width.
    assert "--clip_length 1 --max_pred_l 24 --visual_input_size 24 --sub_input_size 24" in result.stdout
    assert "CLIP's widths alone (512, 768), not 24" in result.stdout


def test_a_cut_keeps_the_most_similar_moments_and_what_fits_them(native: Path, tmp_path: Path) -> None:
    made = export_tvr_ranking(native, tmp_path / "out", top_k=2, min_similarity=0.1, device="cpu")
    layout = Layout(tmp_path / "out", arch=made.arch, top_k=2, step=1.0)
    given = load_queries(native / "annotations" / "train.json")
    samples = json.loads(layout.path("samples").read_text())
    for query in load_queries(layout.path("train")):
        (own,) = [one for one in given if one.query_id == query.query_id]
        best = sorted((moment.similarity for moment in own.moments), reverse=True)[:2]
        kept = [moment.similarity for moment in query.moments]
        assert sorted(kept, reverse=True) == [value for value in best if value >= 0.1]
        assert set(query.moments) <= set(own.moments)
        assert samples["pos"][str(own.query_id)].keys() <= {str(moment.pair_id) for moment in query.moments}
        # A moment that was left out is no wrong one for that.
        for found in samples["neg"][str(own.query_id)]:
            for moment in own.moments:
                overlaps = found["timestamp"][0] - 8 < moment.end and found["timestamp"][1] + 8 > moment.start
                assert found["video_name"] != moment.video or not overlaps
    # What comes back is whole: samples and segments are of the moments that went out.
    import_tvr_ranking(layout, tmp_path / "c")
    with pytest.raises(InvalidInput, match="lower --min-similarity"):
        export_tvr_ranking(native, tmp_path / "none", min_similarity=1.5, device="cpu")


def test_depth_and_rule_decide_the_coarse_proposals(native: Path, tmp_path: Path) -> None:
    def longest(out: Path) -> float:
        (path,) = out.rglob("val_coarse_proposals.json")
        rows = [row for rows in json.loads(path.read_text()).values() for row in rows]
        return max(float(end) - float(start) for start, end in (row["timestamp"] for row in rows))

    whole = export_tvr_ranking(native, tmp_path / "whole", device="cpu")
    assert any("so proposals join to whole videos; take fewer with --depth" in note for note in whole.notes)
    few = export_tvr_ranking(native, tmp_path / "few", depth=3, device="cpu")
    peaks = export_tvr_ranking(native, tmp_path / "peaks", rule="peaks:1", device="cpu")
    assert not any("whole videos" in note for note in (*few.notes, *peaks.notes))
    assert longest(tmp_path / "peaks") == 12.0
    assert longest(tmp_path / "few") <= 12.0 < longest(tmp_path / "whole")
    with pytest.raises(InvalidInput, match="runs"):
        export_tvr_ranking(native, tmp_path / "bad", rule="runs", device="cpu")


@pytest.mark.parametrize("subtitles", [False, True])
def test_the_projector_of_the_segment_features_goes_out(
    native: Path, tmp_path: Path, subtitles: bool
) -> None:
    collection = shutil.copytree(native, tmp_path / "c")
    torch.manual_seed(0)
    config = ProjectorConfig(dim=24, heads=2, layers=1, subtitles=subtitles)
    projector = Projector(config)
    encoder = features_directory(collection).name
    save_model(
        collection / "models/projector/p", "projector", config, projector.state_dict(), encoder=encoder
    )
    made = export_tvr_ranking(collection, tmp_path / "out", projector="p", proposals=False, device="cpu")
    assert any("extract none with it" in note for note in made.notes) == subtitles
    layout = Layout(tmp_path / "out", arch=made.arch, step=1.0)
    found = read_checkpoint(layout.path("projector"), Choices(heads=2))
    again = Projector(found.config)  # type: ignore[arg-type]
    again.load_state_dict(found.state)
    queries = torch.randn(3, 24)
    numeric.close(again.queries(queries), projector.queries(queries))
    if not subtitles:
        (folder,) = (collection / "features").iterdir()
        frames = torch.from_numpy(FeatureStore.open(folder).rows("v001", "frames")[:4].astype(np.float32))
        written = np.load(layout.path("segment_features") / "v001.npy")
        numeric.close(again.eval().segments(frames[None])[0].detach(), written[0])
    import_tvr_ranking(layout, tmp_path / "back")
