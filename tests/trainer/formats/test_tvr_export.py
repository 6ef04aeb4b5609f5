import json
import random
import re
import shutil
from collections.abc import Iterator
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
from trainer.collection.annotations import JudgedQuery, load_queries, save_queries
from trainer.collection.places import features_directory
from trainer.collection.queries import QueryFeatures
from trainer.evaluation.offline import Offline, search_offline
from trainer.evaluation.report import report
from trainer.formats.checkpoints import Choices, read_checkpoint
from trainer.formats.layout import Layout
from trainer.formats.negatives import failures, nearest, warning
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
    export_tvr_ranking(native, native.parent / "out", device="cpu")
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
    header = features_directory(native) / "store.json"
    value = json.loads(header.read_text())
    value["meta"]["source"] = f"queries/{header.parent.name}"
    header.write_text(json.dumps(value))
    assert table(native) == after
    with pytest.raises(NotFound, match="'nobody asked this' are not among the"):
        Offline.open(native, device="cpu").answer("nobody asked this")


def test_published_data_comes_back_as_it_was(tmp_path: Path) -> None:
    data = tvr.write_layout(tmp_path / "data", optional=True)
    import_tvr_ranking(Layout(data), tmp_path / "c")
    made = export_tvr_ranking(tmp_path / "c", tmp_path / "out", device="cpu")
    assert (made.arch, made.projector, made.videos) == ("CLIP-ViT-L-14", "given", 6)
    for file in ("clip", "video", "subtitles", "queries", "tokens"):
        given, written = (tvr.read_h5(root / tvr.LAYOUT[file]) for root in (data, tmp_path / "out"))
        names = given.keys() - {"not_in_corpus", "12", "13"}
        assert written.keys() == names
        for name in names - {f"{video}-mask" for video in tvr.VIDEOS}:
            np.testing.assert_array_equal(written[name], given[name])
            assert written[name].dtype == np.float32
    assert written_mask(tmp_path / "out", "zoo").tolist() == [1, 1, 1, 0, 0, 0, 0] + [1] * 11
    for folder in ("segments", "coarse"):
        for path in (data / tvr.LAYOUT[folder]).iterdir():
            again = tmp_path / "out" / tvr.LAYOUT[folder] / path.name
            assert json.loads(again.read_text()) == json.loads(path.read_text())
    for path in (data / tvr.LAYOUT["segment_features"]).iterdir():
        again = tmp_path / "out" / tvr.LAYOUT["segment_features"] / path.name
        np.testing.assert_array_equal(np.load(again), np.load(path))
    for name in ("train_top40", "val", "test"):
        given_queries, again_queries = (
            load_queries(root / tvr.LAYOUT["annotations"] / f"{name}.json")
            for root in (data, tmp_path / "out")
        )
        assert given_queries == again_queries
    corpus = json.loads(
        (tmp_path / "out" / tvr.LAYOUT["annotations"] / "video_corpus_sorted.json").read_text()
    )
    assert corpus == tvr.VIDEOS
    assert list(corpus) == sorted(corpus)
    import_tvr_ranking(Layout(tmp_path / "out"), tmp_path / "c2")
    one, other = (features_directory(tmp_path / name) for name in ("c", "c2"))
    for name in ("frames.bin", "i3d.bin", "subtitles-bert.bin", "segments.bin"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    assert one.name == other.name


def written_mask(root: Path, video: str) -> Any:
    return tvr.read_h5(root / tvr.LAYOUT["subtitles"])[f"{video}-mask"]


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


def test_all_that_was_kept_goes_out_again(tmp_path: Path) -> None:
    """Files of another context or number of moments, and without any retrieval."""
    data = tvr.write_layout(tmp_path / "data", optional=True)
    folder = data / tvr.LAYOUT["coarse"]
    (folder / "train_top40_pos_neg_samples_context_8.json").rename(
        folder / "train_top40_pos_neg_samples_context_4.json"
    )
    import_tvr_ranking(Layout(data, context=4), tmp_path / "c")
    (features,) = (tmp_path / "c" / "features").iterdir()
    with FeatureStore.open(features, "a") as store:
        empty = {name: np.zeros((0, stream.dim), np.float32) for name, stream in store.streams.items()}
        store.append("unseen", empty, duration=1.0)
    made = export_tvr_ranking(tmp_path / "c", tmp_path / "out", device="cpu", proposals=False)
    assert made.notes[0] == "1 videos without a frame were left out"
    assert not any("segments are retrieved" in note for note in made.notes)
    for name in ("coarse", "segments"):
        given, again = (root / tvr.LAYOUT[name] for root in (data, tmp_path / "out"))
        for path in given.iterdir():
            assert json.loads((again / path.name).read_text()) == json.loads(path.read_text())


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


def published_negatives(queries: list[JudgedQuery], batch: list[tuple[int, int]]) -> bool:
    """Whether the published rule finds a wrong moment for every query of a batch, and a wrong query for every
    moment: moment b is right for query a where b's caption is among those of a's moments, or b is a's own.
    """
    captions = [{moment.caption for moment in queries[query].moments} for query, _ in batch]
    said = [queries[query].moments[moment].caption for query, moment in batch]
    right = np.array([[text in own for text in said] for own in captions]) | np.eye(len(batch), dtype=bool)
    return not right.all(0).any() and not right.all(1).any()


def epochs(queries: list[JudgedQuery], batch: int, count: int) -> Iterator[list[tuple[int, int]]]:
    """Yield the batches of a published training: shuffled pairs, the last, smaller batch dropped."""
    pairs = [(row, moment) for row, query in enumerate(queries) for moment in range(len(query.moments))]
    rng = random.Random(2024)
    for _ in range(count):
        rng.shuffle(pairs)
        yield from (pairs[at : at + batch] for at in range(0, len(pairs) - batch + 1, batch))


def crowded(path: Path) -> None:
    """Give the training queries of a collection captions that many share."""
    queries = load_queries(path)
    many = []
    for row, query in enumerate(queries * 4):
        moments = [replace(query.moments[0], pair_id=pair, similarity=1.0 - pair / 40) for pair in range(30)]
        shared = [
            replace(moment, caption=f"event {(row + 7 * pair) % 40}") for pair, moment in enumerate(moments)
        ]
        many.append(replace(query, query_id=5000 + row, query=f"{query.query} {row}", moments=tuple(shared)))
    save_queries(path, many)


def test_every_batch_of_an_export_has_negatives_where_it_promises_so(native: Path, tmp_path: Path) -> None:
    collection = shutil.copytree(native, tmp_path / "c")
    crowded(collection / "annotations" / "train.json")
    whole = nearest(load_queries(collection / "annotations" / "train.json"), 40, -1.0)
    # What the published code stops at, and that it is told.
    assert not all(published_negatives(whole, batch) for batch in epochs(whole, 8, 2))
    (told,) = [note for note in (warning(whole),) if note]
    match = re.search(r"--top-k (\d+) keeps ([\d,]+) pairs and avoids it", told)
    assert match is not None
    cut = nearest(whole, int(match[1]), -1.0)
    assert sum(len(query.moments) for query in cut) == int(match[2].replace(",", ""))
    assert warning(cut) == ""
    assert all(published_negatives(cut, batch) for batch in epochs(cut, 8, 20))


def test_the_estimate_is_what_batches_show(native: Path, tmp_path: Path) -> None:
    collection = shutil.copytree(native, tmp_path / "c")
    crowded(collection / "annotations" / "train.json")
    queries = nearest(load_queries(collection / "annotations" / "train.json"), 12, -1.0)
    seen = [published_negatives(queries, batch) for batch in epochs(queries, 4, 12)]
    share = seen.count(False) / len(seen)
    assert share / 2 < failures(queries, 4) < 3 * share


def test_a_cut_keeps_the_most_similar_moments_and_what_fits_them(native: Path, tmp_path: Path) -> None:
    made = export_tvr_ranking(native, tmp_path / "out", top_k=2, min_similarity=0.1, device="cpu")
    layout = Layout(tmp_path / "out", arch=made.arch, top_k=2, step=1.0)
    given = load_queries(native / "annotations" / "train.json")
    for query in load_queries(layout.path("train")):
        (own,) = [one for one in given if one.query_id == query.query_id]
        best = sorted((moment.similarity for moment in own.moments), reverse=True)[:2]
        kept = [moment.similarity for moment in query.moments]
        assert sorted(kept, reverse=True) == [value for value in best if value >= 0.1]
        assert set(query.moments) <= set(own.moments)
    # What comes back is whole: samples and segments are of the moments that went out.
    import_tvr_ranking(layout, tmp_path / "c")
    with pytest.raises(InvalidInput, match="lower --min-similarity"):
        export_tvr_ranking(native, tmp_path / "none", min_similarity=1.5, device="cpu")


def test_what_was_kept_beside_other_training_moments_does_not_go_out(tmp_path: Path) -> None:
    data = tvr.write_layout(tmp_path / "data", optional=True)
    import_tvr_ranking(Layout(data), tmp_path / "c")
    export_tvr_ranking(tmp_path / "c", tmp_path / "out", top_k=1, device="cpu", proposals=False)
    names = {path.name for path in (tmp_path / "out" / tvr.LAYOUT["coarse"]).iterdir()}
    assert names == {"val_coarse_proposals.json"}
    import_tvr_ranking(Layout(tmp_path / "out", top_k=1), tmp_path / "again")


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
