"""One real service with its page, over real files: an MP4 with texts, a long-GOP MKV, an AVI."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import config
from engine.texts import Line
from tests.system.service import running, write_topology
from tests.trainer.ingest.factories import regular, write_video
from tests.workers.ranker.factories import tiny_clip
from trainer.collection.places import features_directory, keep_encoder
from trainer.generation.build import BuildConfig, build
from trainer.ingest.options import IngestOptions
from trainer.ingest.pipeline import ingest
from trainer.ingest.texts import KEY, Texts
from trainer.ingest.texts import read as read_texts
from trainer.ingest.texts import write as write_texts
from workers.feature_store.store import FeatureStore, NewVideo
from workers.ranker.encoder.encoder import Encoder

SPOKEN = (
    "1\n00:00:02,000 --> 00:00:05,000\na red ball bounces\n\n2\n00:00:09,000 --> 00:00:11,000\n<3 & more\n"
)

SIGN = Line(17.0, 19.0, "exit RE16", (0.25, 0.5, 0.75, 1.0))


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Page:
    """A served page. videos: the folder of its files. coordinator, admin: addresses of its service.

    metrics: the address of its own.
    """

    address: str
    videos: Path
    collection: Path
    coordinator: str
    admin: str
    metrics: str

    def get(self, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Ask for a path; with a body as POST."""
        request = urllib.request.Request(self.address + path, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return Answer(reply.status, dict(reply.headers.items()), reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers.items()), error.read())


def collection_of_files(home: Path) -> tuple[Path, Path]:
    """Build a collection of three files; return it and their folder."""
    collection, videos = home / "films", home / "videos"
    write_video(videos / "talk.mp4", regular(24.0, 10), size=(96, 64), options={"g": "10"})
    (videos / "talk.srt").write_text(SPOKEN)
    (videos / "talk.json").write_text('{"labels": ["spoken"]}')
    # Other pictures a second than the others have: none is a copy of another.
    write_video(videos / "deep" / "gop.mkv", regular(16.0, 7), rate=7, size=(96, 64), audio_seconds=16.0)
    write_video(videos / "old.avi", regular(12.0, 13), rate=13, codec="mpeg4", size=(96, 64))
    source = tiny_clip(home / "encoder")
    encoder = Encoder.load(str(source), "cpu")
    options = IngestOptions(fps=Fraction(1), edge=16, settings="cpu auto")
    ingest([videos], collection, encoder, options, lambda *_: None)
    keep_encoder(collection, source, encoder.fingerprint, str(source))
    put_sign(collection, encoder.fingerprint)
    build(BuildConfig(collection=collection, shards=1, device="cpu"))
    return collection, videos


def put_sign(collection: Path, fingerprint: str) -> None:
    """Let `talk` have a text on the screen, as if ingest had read it there."""
    with FeatureStore.open(features_directory(collection, fingerprint), "a") as store:
        talk = store.record("talk")
        said = read_texts(collection, talk.info).said
        key = write_texts(collection, Texts(said, (SIGN,)))
        rows = {name: np.array(store.rows("talk", name)) for name in store.streams}
        info = {**talk.info, KEY: key}
        store.extend([NewVideo("talk", rows, talk.uri, talk.sha256, talk.duration, info)])


@pytest.fixture(scope="package")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    home = tmp_path_factory.mktemp("page")
    collection, videos = collection_of_files(home)
    topology = write_topology(home / "topology.toml", collection, shards=1, page=True, library={})
    with running(home / "log.jsonl", str(topology)) as service:
        ready = {name: str(service.ready[name]) for name in ("page", "address", "admin")}
        page = config.read(topology).page
        assert page is not None
        address = ready["page"].rstrip("/")
        yield Page(address, videos, collection, ready["address"], ready["admin"], page.metrics)
