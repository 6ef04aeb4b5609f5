"""A library whose collection gets another name ends, and its successor knows that."""

import dataclasses
import signal
from contextlib import closing
from pathlib import Path

import pytest

from engine import versions
from engine.errors import InvalidInput
from spr.v1.standing_service_pb2 import StandingSearch
from tests.trainer.library.tiny import write_part, write_version
from trainer.library import renaming
from trainer.library.jobs import Queue
from trainer.library.names import name_of
from trainer.library.renaming import Renaming
from trainer.library.standing.store import Store


def test_another_name_is_noticed_and_another_version_or_none_at_all_is_none(tmp_path: Path) -> None:
    write_version(tmp_path, [write_part(tmp_path, ["a"])])
    with closing(Queue(tmp_path, name_of(tmp_path), 5)) as queue:
        looking = Renaming([queue])
    assert looking.renamed() == ""
    about = write_version(tmp_path, [write_part(tmp_path, ["b"])])
    assert looking.renamed() == ""
    (tmp_path / versions.CURRENT).rename(tmp_path / "away")
    assert looking.renamed() == ""
    made = versions.commit(tmp_path, dataclasses.replace(about, collection="films", parent=about.id))
    versions.activate(tmp_path, made.id)
    assert looking.renamed() == "films"


def test_it_looks_on_after_a_version_that_could_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_version(tmp_path, [write_part(tmp_path, ["a"])])
    with closing(Queue(tmp_path, name_of(tmp_path), 5)) as queue:
        looking = Renaming([queue])
    found: list[str | Exception] = ["films", "", OSError(5, "Input/output error"), InvalidInput("is empty")]

    def renamed() -> str:
        if isinstance(one := found.pop(), Exception):
            raise one
        return one

    ended: list[int] = []
    monkeypatch.setattr(looking, "renamed", renamed)
    monkeypatch.setattr(renaming, "LOOK", 0.0)
    monkeypatch.setattr("os.kill", lambda _, number: ended.append(number))
    looking._run()
    assert ended == [signal.SIGTERM]


def test_standing_searches_ask_for_the_name_of_now(tmp_path: Path) -> None:
    write_version(tmp_path, [write_part(tmp_path, ["a"])])
    asked = StandingSearch(id="s", collection="tiny", text="a ball", confidence=0.9)
    with closing(Store(tmp_path, "tiny")) as former:
        former.create(asked, b"", existing=False)
    with closing(Store(tmp_path, "films")) as later:
        assert [one.asked.collection for one in later.searches()] == ["films"]
        # The same request again is the same search.
        asked.collection = "films"
        assert later.create(asked, b"", existing=False).asked.collection == "films"
