"""The end of the demo: a new video is added to the running service, found, and deleted again."""

import json
import sys
import time
from pathlib import Path

from engine.corpus import open_corpus
from recipes.steps import Steps
from trainer.collection.annotations import load_queries

# A world whose one video is short.
SEED = 120
TOP = "5"


def add_find_delete(steps: Steps, world: Path, address: str, admin: str) -> None:
    """Render one video into `world`, add it, search for what it shows, delete it, and search again.

    Leaves (SystemExit) with a sentence where the video is not found, or is found after it was deleted.
    """
    steps.run("new", ["corpus", "render", str(world), "--videos", "1", "--seed", str(SEED)])
    sentence = described(world)
    search = ["search", sentence, "--address", address, "--top", TOP]
    began = time.monotonic()
    added = ["admin", "add", f"{world}/videos", "--wait", "--address", admin, "--json"]
    (video,) = json.loads(steps.spr(added, capture=True))["video_ids"]
    if not _found(steps, search, video):
        sys.exit(f"'{sentence}' was added as {video}, and the search does not find it")
    print(f"\n{video} was found {time.monotonic() - began:.1f} s after the command that added it.")
    steps.spr(["admin", "delete", video, "--wait", "--address", admin])
    if _found(steps, search, video):
        sys.exit(f"{video} was deleted, and the search still finds it")
    print(f"\n{video} is deleted; the search no longer finds it.")
    steps.spr(["admin", "versions", "--address", admin])


def described(world: Path) -> str:
    """Return the first precise question of a world's own annotations."""
    queries = load_queries(world / "annotations" / "train.json")
    return next(query.query for query in queries if query.slice == "precise")


def content(collection: Path) -> str:
    """Return what decides the answers of the current version: videos, models, kind of index.

    Versions of the same content answer alike, whatever was added and deleted between them.
    """
    corpus = open_corpus(collection)
    about = corpus.version
    ranker = about.ranker.fingerprint if about.ranker else None
    videos = list(zip(corpus.catalogue.ids, corpus.catalogue.durations.tolist(), strict=True))
    made = [about.embedding_model, ranker, about.contexts, about.factory, about.segment_length]
    return json.dumps([*made, videos])


def _found(steps: Steps, search: list[str], video: str) -> bool:
    answer = steps.spr(search, capture=True)
    print(answer, end="", flush=True)
    return video in answer.split()
