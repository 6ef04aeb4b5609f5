"""A clip encoder beside a frame encoder, from files of video to moments: what it made is what is searched."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from engine import names
from engine.corpus import open_corpus
from engine.errors import InvalidInput
from spr_client import Client, Clip, Options, Part, SearchResult
from tests import numeric
from tests.system.clipped import VIDEOS, World, indexed, refused, same, spr, unit, write
from tests.system.service import running, write_topology
from tests.workers.ranker.factories import TEXTS, WIDTH
from tests.workers.ranker.family_parts import PROJECTED
from trainer.collection.annotations import JudgedMoment, JudgedQuery, save_corpus, save_queries
from trainer.collection.naming import give_name
from trainer.collection.places import features_directory
from trainer.generation.build import BuildConfig, build
from trainer.library.compacting import compact
from trainer.library.deleting import delete
from trainer.library.ingesting import add_files
from trainer.library.kits import Kits
from trainer.library.restore import restore
from trainer.library.snapshot import snapshot
from trainer.library.verify import verify
from trainer.projector.loading import load_data
from trainer.projector.settings import ProjectorSettings
from trainer.ranker.prepare import prepare
from trainer.ranker.settings import RankerSettings
from workers.feature_store.store import FeatureStore
from workers.ranker.model.relo import ReloConfig


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World.make(tmp_path_factory.mktemp("clips"))


@pytest.fixture
def copy(world: World, tmp_path: Path) -> Path:
    return Path(shutil.copytree(world.collection, tmp_path / "copy"))


def test_the_index_holds_what_the_clip_encoder_says_of_the_decoded_frames(world: World) -> None:
    version = open_corpus(world.collection).version
    same(
        indexed(world.collection),
        world.told(),
    )
    both = (world.frames.fingerprint, world.clips.fingerprint)
    assert (version.encoder.fingerprint, version.index_encoder.fingerprint) == both
    assert (version.dim, version.streams["frames"].dim) == (PROJECTED, WIDTH)
    assert all(name in version.embedding_model for name in both)


def test_frames_are_the_same_with_and_without(world: World, tmp_path: Path) -> None:
    given = ("--encoder", world.root / "frames", "--device", "cpu")
    spr("ingest", world.root / "videos", "--collection", tmp_path, *given)
    alone = FeatureStore.open(features_directory(tmp_path))
    beside = FeatureStore.open(features_directory(world.collection))
    assert set(beside.streams) - set(alone.streams) == {"clips"}
    for video in VIDEOS:
        for stream in alone.streams:
            assert np.array_equal(alone.rows(video, stream), beside.rows(video, stream))


@pytest.fixture(scope="module")
def client(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    path = tmp_path_factory.mktemp("service") / "topology.toml"
    topology = write_topology(path, world.collection, shards=1)
    with running(path.parent / "log.jsonl", str(topology)) as service, Client(service.address) as client:
        yield client


def first(result: SearchResult) -> tuple[str, float]:
    """Return the video and segment that a list without refinement begins with."""
    return result.moments[0].video, result.moments[0].proposal_start


def test_sentences_find_segments_by_the_clip_encoder_and_seconds_by_the_other(
    client: Client, world: World
) -> None:
    vectors = indexed(world.collection)
    places = [(video, number) for video, rows in vectors.items() for number in range(len(rows))]
    stacked = np.concatenate([*vectors.values()])
    frames = FeatureStore.open(features_directory(world.collection))
    for text, row in zip(TEXTS, world.best(TEXTS, stacked), strict=True):
        result = client.search(text, options=Options(rerank=False))
        video, segment = places[row]
        assert result.moments[0].video == video
        assert result.moments[0].proposal_start <= 4.0 * segment < result.moments[0].proposal_end
        told = client.explain(text, video)
        assert told.frames is not None
        wanted = (
            unit(np.asarray(frames.rows(video, "frames"), np.float32))
            @ unit(world.frames.text([text]).pooled)[0]
        )
        numeric.close(told.frames.values, wanted)
        assert all(moment.refined for moment in client.search(text).moments)


def test_examples_are_clips(client: Client, world: World) -> None:
    for video in VIDEOS:
        result = client.search(Part(like=[Clip(video, 4.0, 8.0)]), options=Options(rerank=False))
        assert first(result)[0] == video
    shown = Image.fromarray(np.full((48, 64, 3), 90, np.uint8))
    data = io.BytesIO()
    shown.save(data, "PNG")
    picture = np.asarray(shown)[None, None]
    vectors = indexed(world.collection)
    places = [video for video, rows in vectors.items() for _ in rows]
    nearest = places[
        int((np.concatenate([*vectors.values()]) @ unit(world.clips.clips(picture))[0]).argmax())
    ]
    by_picture = client.search(Part(images=[data.getvalue()]), options=Options(rerank=False))
    assert by_picture.moments[0].video == nearest
    try:
        give_name(world.collection, "@grey", [data.getvalue()], [], "cpu")
        by_name = client.search("@grey", options=Options(rerank=False))
        spans = [[(one.video, one.start, one.end) for one in r.moments] for r in (by_name, by_picture)]
        assert spans[0] == spans[1]
        # Encoded by two processes: their threads may sum in another order.
        scores = [[one.score for one in r.moments] for r in (by_name, by_picture)]
        numeric.close(scores[0], scores[1])
        give_name(world.collection, "@b", [], [("b", 5.0)], "cpu")
        assert first(client.search("@b", options=Options(rerank=False)))[0] == "b"
    finally:
        (world.collection / names.FILE).unlink(missing_ok=True)


def test_what_is_added_deleted_merged_and_restored_stays_what_the_clips_are(world: World, copy: Path) -> None:
    folder = copy.parent / "more"
    more = {video: write(folder, video, seconds, 8) for video, seconds in (("d", 6.0), ("e", 5.0))}
    wanted = world.told()
    wanted |= {video: world.segments(path) for video, path in more.items()}
    assert add_files(copy, [folder], Kits("cpu"), lambda *_: None).ids.keys() == {
        one.as_uri() for one in more.values()
    }
    same(indexed(copy), wanted)
    delete(copy, ["b"])
    compact(copy)
    del wanted["b"]
    same(indexed(copy), wanted)
    snapshot(copy, str(copy.parent / "backup"))
    shutil.rmtree(copy)
    restore(copy, str(copy.parent / "backup"))
    assert verify(copy) == []
    same(indexed(copy), wanted)
    # The feature store came back with both streams, so that it can be built and added to again.
    shutil.rmtree(folder)
    spr("build", copy, "--shards", 2, "--device", "cpu")
    same(indexed(copy), wanted)
    assert "clip encoder" in spr("doctor", copy)


def test_the_collections_own_encoders_are_taken_unless_others_are_named(world: World, copy: Path) -> None:
    videos = world.root / "videos"
    assert "3 unchanged" in spr("ingest", videos, "--collection", copy, "--device", "cpu")
    assert "3 ingested" in spr(
        "ingest", videos, "--collection", copy, "--clip-encoder", "none", "--device", "cpu"
    )
    assert "add --clip-encoder" in refused("ingest", videos, "--collection", copy, "--device", "cpu")
    assert "several encoders; add --encoder" in refused("build", copy, "--device", "cpu")
    both = open_corpus(copy).version.features
    build(BuildConfig(collection=copy, encoder=world.frames.fingerprint, device="cpu"))
    assert open_corpus(copy).version.dim == WIDTH
    build(BuildConfig(collection=copy, encoder=both, device="cpu"))
    assert open_corpus(copy).version.dim == PROJECTED


def test_what_cannot_be_with_clips_is_told(world: World, copy: Path) -> None:
    given = ("ingest", world.root / "videos", "--collection", copy, "--device", "cpu", "--encoder")
    frames, clips = world.root / "frames", world.root / "clips"
    assert "which reads clips and cannot find seconds" in refused(*given, clips)
    assert "reads pictures, not clips: name it with --encoder" in refused(
        *given, frames, "--clip-encoder", frames
    )
    assert "reads frames, and" in refused("build", copy, "--projector", "p", "--device", "cpu")


def test_a_ranker_learns_from_what_clips_find_and_reads_frames(world: World, copy: Path) -> None:
    seconds = {video: about[0] for video, about in VIDEOS.items()}
    for split, relevance in (("train", None), ("val", 4.0)):
        moments = tuple(
            JudgedMoment(number, video, 0.0, 4.0, length, "it moves", 1.0, relevance)
            for number, (video, length) in enumerate(seconds.items())
        )
        queries = [JudgedQuery(number, text, moments) for number, text in enumerate(TEXTS)]
        save_queries(copy / "annotations" / f"{split}.json", queries)
        save_corpus(copy / "annotations" / f"corpus_{split}.json", seconds)
    settings = RankerSettings(model=ReloConfig(hidden=16, heads=2), batch=2, depth=10)
    found = prepare(copy, settings, None, None, torch.device("cpu"))
    numeric.close(found.texts, world.clips.text(TEXTS).pooled)
    assert (found.encoder, found.model.visual_dim) == (world.frames.fingerprint, WIDTH)
    with pytest.raises(InvalidInput, match="indexed by its clips, which no projector reads"):
        load_data(copy, ProjectorSettings(), None, "cpu")
