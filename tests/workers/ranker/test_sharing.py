"""Several versions in one worker: what they share, and what goes with the last of them."""

import asyncio
import dataclasses
import logging
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import parts, versions
from engine.errors import Mismatch
from engine.types import Proposals, RankQuery
from tests.workers.ranker.factories import TEXTS, VIDEOS, Tiny, tiny, tiny_collection
from workers.ranker.encoder.encoder import Encoder
from workers.ranker.models import SharedModels
from workers.ranker.scorer import Scorer, Scorers
from workers.ranker.scoring.relo_ranker import ReloRanker
from workers.versions import Held

MORE = VIDEOS | {"d": 31, "e": 9}


def holding(*made: Tiny) -> Held[Scorer]:
    held = Held([one.directory for one in made], Scorers(SharedModels("cpu")).open)
    held.prepare_current()
    return held


def ask(scorer: Scorer, videos: int) -> Any:
    rows, spans = np.arange(videos, dtype=np.int32), np.tile([0.0, 3.0], (videos, 1))
    query = scorer.encode(TEXTS[0])
    return scorer.rank(RankQuery.of(query, Proposals(rows, spans, rows, np.zeros(videos, np.float32))))


def batchers(others: set[threading.Thread]) -> int:
    """Return how many there are but for `others`, which may end at any time."""
    return sum(thread.name == "batcher" for thread in set(threading.enumerate()) - others)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    folder = tmp_path_factory.mktemp("collection")
    return tiny(folder / "c", trained=True, contexts="float16", videos=MORE, sentences=True)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was loaded: the models' directories."""
    seen: list[str] = []
    encoder, ranker = Encoder.load, ReloRanker.open

    def load_encoder(name: str, *arguments: Any, **named: Any) -> Any:
        seen.append("encoder")
        return encoder(name, *arguments, **named)

    def load_ranker(directory: Path, *arguments: Any) -> Any:
        seen.append("ranker")
        return ranker(directory, *arguments)

    monkeypatch.setattr(Encoder, "load", load_encoder)
    monkeypatch.setattr(ReloRanker, "open", load_ranker)
    return seen


def test_a_version_that_adds_a_part_opens_that_part_alone(
    made: Tiny, loads: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    listed = [made.part(["a", "c"]), made.part(["b"])]
    before = made.version(listed)
    after = made.version([*listed, made.part(["d", "e"])], deleted=["b"])
    versions.activate(made.directory, before)
    loads.clear()
    held = holding(made)
    ask(held.get(before), 3)
    warmed = [record for record in caplog.records if "in memory" in record.getMessage()]
    done = held.prepare("default", after)
    assert (done.opened, done.shared) == (1, 2)
    assert done.elapsed <= 0.5
    assert loads == ["encoder", "ranker"]
    again = [record for record in caplog.records if "in memory" in record.getMessage()][len(warmed) :]
    old, new = held.get(before), held.get(after)
    added = new.models.parts[2]
    assert [record.__dict__["bytes"] for record in again] == [
        sum(array.nbytes for array in added.arrays("stored contexts"))
    ]
    assert old.texts is new.texts
    assert old.sentences is new.sentences is not None
    assert old.models.sentences is new.models.sentences is not None
    assert old.models.queries is new.models.queries
    assert [part in old.models.parts for part in new.models.parts] == [True, True, False]
    first, second = old.models.ranker, new.models.ranker
    assert isinstance(first, ReloRanker)
    assert isinstance(second, ReloRanker)
    assert first.model is second.model
    assert first.stored is not None
    assert second.stored is not None
    for one in first.stored.store.arrays():
        assert any(np.shares_memory(one, other) for other in second.stored.store.arrays())
    assert [len(ask(old, 3)), len(ask(new, 4))] == [3, 4]


def test_a_version_that_is_dropped_is_gone_with_its_last_call(made: Tiny) -> None:
    listed = [made.part(["a", "c"]), made.part(["b"])]
    before = made.version(listed)
    others = set(threading.enumerate())
    held = holding(made)
    after = made.version(listed[:1])
    held.prepare("", after)
    # One of texts, one of sentences; of each version one of proposals, one of those without words, one of
    # examples.
    assert batchers(others) == 2 + 2 * 3
    calling = held.get(before)
    part = weakref.ref(calling.models.parts[1])
    held.drop(before)
    with pytest.raises(Mismatch, match=after):
        held.get(before)
    assert len(ask(calling, 3)) == 3
    assert part() is not None
    del calling
    wait_for(2 + 3, others)
    assert part() is None
    assert len(ask(held.get(after), 2)) == 2
    held.drop(after)
    wait_for(0, others)


def wait_for(threads: int, others: set[threading.Thread]) -> None:
    for _ in range(10_000):
        if batchers(others) == threads:
            return
        threading.Event().wait(0.001)
    raise AssertionError(batchers(others))


def test_collections_with_the_same_models_share_them(tmp_path: Path, loads: list[str]) -> None:
    one = tiny_collection(tmp_path / "one", trained=True, contexts="float16")
    other = tiny(tmp_path / "other", trained=True, contexts="int8")
    template = dataclasses.replace(other.template, collection="lectures")
    other = dataclasses.replace(other, template=template)
    other.version([other.part(["a", "b"])])
    loads.clear()
    held = holding(one, other)
    assert loads == ["encoder", "ranker"]
    first, second = (held.get(versions.current(made.directory)) for made in (one, other))
    assert first.texts is second.texts
    assert [(about.collection, about.videos) for about in held.listing()] == [
        ("default", 3),
        ("lectures", 2),
    ]
    assert [len(ask(first, 3)), len(ask(second, 2))] == [3, 2]


def test_versions_with_other_models_answer_with_their_own(tmp_path: Path) -> None:
    made = tiny_collection(tmp_path / "collection", trained=True, contexts="float16")
    before = versions.current(made.directory)
    held = holding(made)
    zero = dataclasses.replace(
        made.template,
        projector=None,
        ranker=None,
        contexts="",
        embedding_model=versions.embedding_model(made.template.encoder.fingerprint, None),
    )
    other = dataclasses.replace(made, template=zero)
    after = other.version([other.part(["a", "b"])])
    held.prepare("default", after)
    old, new = held.get(before), held.get(after)
    assert old.models.encoder is new.models.encoder
    assert old.encode(TEXTS[0]).model_id != new.encode(TEXTS[0]).model_id
    assert not np.array_equal(old.encode(TEXTS[0]).embedding, new.encode(TEXTS[0]).embedding)
    assert [about.ranker_model for about in held.listing()] == [old.models.ranker.name, "similarity-curve"]


def test_a_damaged_part_silences_its_versions_alone_and_heals(tmp_path: Path) -> None:
    made = tiny(tmp_path / "collection", trained=True, contexts="float16")
    listed = [made.part(["a", "c"]), made.part(["b"])]
    both = made.version(listed)
    held = holding(made)
    one = made.version(listed[:1])
    held.prepare("", one)
    path = parts.directory(made.directory, listed[1].id) / "encoded" / "video.npy"
    path.chmod(0o644)
    whole = path.read_bytes()

    async def damaged() -> None:
        held.get(both).check_in_turn()
        with path.open("r+b") as file:
            file.seek(len(whole) - 1)
            file.write(bytes([whole[-1] ^ 1]))
        # In the same turn of the loop nothing was read that is not checked.
        held.get(both).check_in_turn()
        await asyncio.sleep(0)
        with pytest.raises(Mismatch, match="was changed while it is served"):
            held.get(both).check_in_turn()

    asyncio.run(damaged())
    held.get(one).check()
    held.look()
    assert [bool(about.fault) for about in held.listing()] == [True, False]
    shared = held.get(one).models.parts[0]
    path.write_bytes(whole)
    for _ in range(3):
        held.look()
    assert [about.fault for about in held.listing()] == ["", ""]
    healed = held.get(both)
    healed.check()
    assert shared in healed.models.parts
    assert len(ask(healed, 3)) == 3


def arrays_of(scorer: Scorer) -> dict[int, int]:
    """Return the bytes of all arrays that a version is ranked with, by where they lie."""
    models = scorer.models
    assert isinstance(models.ranker, ReloRanker)
    assert models.ranker.stored is not None
    store = models.ranker.stored.store
    found = [*models.features.arrays(), models.features.durations, *store.arrays(), store.starts, store.clips]
    for stream in models.features.streams.values():
        found += [stream.starts, stream.counts]
    weights = models.ranker.model.state_dict().values()
    return {one.ctypes.data: one.nbytes for one in found} | {one.data_ptr(): one.nbytes for one in weights}


def test_two_versions_of_the_same_parts_take_little_more_memory(tmp_path: Path) -> None:
    made = tiny(tmp_path / "collection", trained=True, contexts="float16")
    listed = [made.part(["a"]), made.part(["b", "c"])]
    before = made.version(listed)
    held = holding(made)
    after = made.version(listed, deleted=["b"])
    held.prepare("", after)
    one, other = (arrays_of(held.get(version)) for version in (before, after))
    assert sum((one | other).values()) <= 1.1 * sum(one.values())
