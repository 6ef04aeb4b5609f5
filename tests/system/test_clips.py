"""A clip encoder beside a frame encoder, from files of video to moments: what it made is what is searched."""

import io
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from engine import names
from engine.corpus import Corpus, open_corpus
from engine.errors import SprError
from engine.types import Floats
from spr_cli.main import cli
from spr_client import Client, Clip, Options, Part, SearchResult
from tests import numeric
from tests.system.service import running, write_topology
from tests.trainer.ingest.factories import regular, write_video
from tests.workers.ranker.factories import TEXTS, WIDTH, tiny_clip
from tests.workers.ranker.families import PROJECTED, make
from trainer.collection.naming import give_name
from trainer.collection.places import features_directory
from trainer.generation.build import BuildConfig, build
from trainer.ingest.video import VideoSampler
from trainer.library.compacting import compact
from trainer.library.deleting import delete
from trainer.library.ingesting import add_files
from trainer.library.kits import Kits
from trainer.library.restore import restore
from trainer.library.snapshot import snapshot
from trainer.library.verify import verify
from workers.feature_store.store import FeatureStore
from workers.index.part import DIRECTORY, IndexPart
from workers.index.vectors import Vectors
from workers.ranker.encoder.encoder import Encoder

# Seconds and pictures a second: the levels of grey tell them apart. The last segment is a short one.
VIDEOS = {"a": (9.5, 6), "b": (14.0, 7), "c": (8.0, 10)}


def unit(rows: NDArray[Any]) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


def spr(*arguments: object) -> str:
    result = CliRunner().invoke(cli, [*map(str, arguments)])
    assert result.exit_code == 0, (arguments, result.output, result.exception)
    return result.output


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(cli, [*map(str, arguments)])
    assert isinstance(result.exception, SprError), result.output
    return str(result.exception)


def write(folder: Path, video: str, seconds: float, rate: int) -> Path:
    return write_video(folder / f"{video}.mp4", regular(seconds, rate), rate=rate)


@dataclass(frozen=True)
class World:
    """Two encoders and videos; the oracle reads the files itself."""

    root: Path

    @property
    def collection(self) -> Path:
        return self.root / "c"

    @cached_property
    def clips(self) -> Encoder:
        return Encoder.load(str(self.root / "clips"), "cpu", clips=True)

    @cached_property
    def frames(self) -> Encoder:
        return Encoder.load(str(self.root / "frames"), "cpu")

    def segments(self, path: Path) -> Floats:
        """Return what the clip encoder says of each four seconds of a file, one by one, as it is stored."""
        edge = max(self.frames.frame_edge, self.clips.frame_edge)
        shown = [one.image for one in VideoSampler(path, Fraction(1), edge) for _ in range(one.rows)]
        cut = [np.stack(shown[start : start + 4]) for start in range(0, len(shown), 4)]
        rows = np.concatenate([self.clips.clips(one[None]) for one in cut])
        return unit(rows.astype(np.float16).astype(np.float32))

    def best(self, texts: Sequence[str], vectors: Floats) -> NDArray[np.int64]:
        """Return the row of the nearest segment to each text by the clip encoder's own text tower."""
        return np.asarray((unit(self.clips.text(texts).pooled) @ vectors.T).argmax(axis=1))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("clips"))
    make("xclip", made.root / "clips")
    tiny_clip(made.root / "frames")
    for video, about in VIDEOS.items():
        write(made.root / "videos", video, *about)
    given = ("--encoder", made.root / "frames", "--clip-encoder", made.root / "clips", "--device", "cpu")
    spr("ingest", made.root / "videos", "--collection", made.collection, *given)
    spr("build", made.collection, "--device", "cpu")
    return made


@pytest.fixture
def copy(world: World, tmp_path: Path) -> Path:
    return Path(shutil.copytree(world.collection, tmp_path / "copy"))


def indexed(collection: Path) -> dict[str, Floats]:
    """Return the vectors of the current version's living videos, read from its indexes."""
    corpus: Corpus = open_corpus(collection)
    found = {}
    for part in corpus.parts:
        index = IndexPart.open(part.directory / DIRECTORY, "cpu")
        rows = np.asarray(Vectors(index)[np.arange(len(index))])
        for number in part.living.tolist():
            video = corpus.catalogue.ids[part.ordinals[number]]
            found[video] = rows[index.videos == number]
    return found


def same(found: dict[str, Floats], wanted: dict[str, Floats]) -> None:
    assert found.keys() == wanted.keys()
    for video, rows in wanted.items():
        numeric.close(found[video], rows)


def test_the_index_holds_what_the_clip_encoder_says_of_the_decoded_frames(world: World) -> None:
    version = open_corpus(world.collection).version
    same(
        indexed(world.collection),
        {one: world.segments(world.root / "videos" / f"{one}.mp4") for one in VIDEOS},
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
        assert client.search("@grey", options=Options(rerank=False)).moments == by_picture.moments
        give_name(world.collection, "@b", [], [("b", 5.0)], "cpu")
        assert first(client.search("@b", options=Options(rerank=False)))[0] == "b"
    finally:
        (world.collection / names.FILE).unlink(missing_ok=True)


def test_what_is_added_deleted_merged_and_restored_stays_what_the_clips_are(world: World, copy: Path) -> None:
    folder = copy.parent / "more"
    more = {video: write(folder, video, seconds, 8) for video, seconds in (("d", 6.0), ("e", 5.0))}
    wanted = {one: world.segments(world.root / "videos" / f"{one}.mp4") for one in VIDEOS}
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
