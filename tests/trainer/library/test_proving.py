"""Codes that a merge makes find as much as the build asked, or the parts stay as they are."""

import dataclasses
from pathlib import Path

import pytest

from engine import versions
from engine.corpus import open_corpus
from engine.errors import Mismatch
from tests.trainer.library.living import Content, collection, copied, ingested
from trainer.generation import check
from trainer.library import merging, policy
from trainer.library.adding import add
from trainer.library.compacting import compact
from trainer.library.kits import Kits
from trainer.library.proving import asked
from workers.index.effort import Effort
from workers.index.part import DIRECTORY, IndexPart

CODES = "RaBitQfs,Refine(SQfp16)"
VIDEOS: dict[str, Content] = {f"v{number}": (number, 400) for number in range(6)}


@pytest.fixture(scope="module")
def built(memory_of_module: Path) -> Path:
    """Two parts of codes and of originals, of which the build asks nothing: effort 10."""
    path = collection(memory_of_module / "c", VIDEOS, shards=1, index=CODES)
    ingested(path, {"w": (7, 40)})
    add(path, ["w"], Kits("cpu"))
    return path


@pytest.fixture
def path(built: Path, memory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(merging, "FLAT_VALUES", 0)
    # Of more, ten candidates each would be all that there are.
    monkeypatch.setattr(check, "DEPTH", 5)
    return copied(built, memory / "c")


def asking(path: Path, recall: float | None, index: str = CODES) -> str:
    """Let the current version be of a build that asked for a recall; return its id."""
    version = versions.read(path)
    settings = {**version.settings, "recall": recall, "index": index}
    made = versions.commit(path, dataclasses.replace(version, settings=settings))
    versions.activate(path, made.id)
    return made.id


def efforts(path: Path) -> set[Effort]:
    return {IndexPart.open(part.directory / DIRECTORY, "cpu").effort for part in open_corpus(path).parts}


@pytest.mark.parametrize("recall", [None, 1.0])
def test_effort_is_raised_until_the_merged_codes_find_enough(path: Path, recall: float | None) -> None:
    asking(path, recall)
    compact(path)
    (effort,) = efforts(path)
    assert (effort.factor > 10) == (recall is not None)


def test_codes_that_find_too_little_are_not_made(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = asking(path, 1.0)
    monkeypatch.setattr(check, "LARGEST_FACTOR", 10)
    there = sorted((path / "parts").iterdir())
    with pytest.raises(
        Mismatch, match=r"finds 0\.\d+ of the nearest segments .* and 1\.0 is asked"
    ) as refused:
        compact(path)
    assert refused.value.reason == check.UNFIT
    assert versions.current(path) == before
    assert sorted((path / "parts").iterdir()) == there


def test_an_add_goes_on_where_parts_cannot_be_merged(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asking(path, 1.0)
    monkeypatch.setattr(check, "LARGEST_FACTOR", 10)
    monkeypatch.setattr(policy, "MOST", 2)
    ingested(path, {"x": (1, 8), "y": (2, 8)})
    for video in ("x", "y"):
        add(path, [video], Kits("cpu"))
    corpus = open_corpus(path)
    assert {*VIDEOS, "w", "x", "y"} == set(corpus.catalogue.ids)
    # The two new ones are few enough to be found among all candidates.
    assert 2 < len(corpus.parts) <= 4


def test_what_was_asked_is_what_the_build_was_told_or_its_default(path: Path) -> None:
    for recall, index, wanted in (
        (0.5, "auto", 0.5),
        (None, "auto", 0.99),
        (None, "fast", 0.95),
        (None, CODES, 0),
    ):
        asking(path, recall, index)
        assert asked(versions.read(path)) == wanted
