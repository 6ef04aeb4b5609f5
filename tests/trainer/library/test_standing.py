"""The record of standing searches, and what is judged and sent by it, over real files."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from engine import versions
from engine.config import LibraryConfig, parse
from engine.errors import InvalidInput, Mismatch, NotFound, PermissionDenied
from spr.v1.standing_service_pb2 import Match, StandingSearch
from tests.trainer.library.tiny import without, write_part, write_version
from trainer.library.standing import counting, deliveries, store
from trainer.library.standing.posting import Hosts
from trainer.library.standing.rows import Search
from trainer.library.standing.store import Store
from trainer.library.standing.thresholds import Calibration

HOOK = "http://127.0.0.1:9/hook"


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Store]:
    write_version(tmp_path, [write_part(tmp_path, ["a", "b"])])
    with closing(Store(tmp_path, "c")) as found:
        yield found


def asked(name: str, **fields: object) -> StandingSearch:
    return StandingSearch(id=name, collection="c", text="a ball", precision=0.9, **fields)  # type: ignore[arg-type]


def search(kept: Store, name: str) -> Search:
    return next(one for one in kept.searches() if one.asked.id == name)


def judge(kept: Store, name: str, matching: str = "") -> list[str]:
    """Judge all that a search is to judge; return the videos. matching: those of a match."""
    videos = []
    while batch := kept.next_batch(search(kept, name)):
        found = [
            Match(standing_search_id=name, video_id=video) for video in batch.videos if video in matching
        ]
        kept.judged(search(kept, name), batch, found)
        videos += batch.videos
    return videos


def add(kept: Store, *ids: str) -> None:
    listed = versions.read(kept.collection).parts
    write_version(kept.collection, [*listed, write_part(kept.collection, ids)])
    kept.note_current()


def test_each_search_judges_what_is_added_after_it_once(kept: Store) -> None:
    kept.create(asked("new"), b"", existing=False)
    kept.create(asked("all"), b"", existing=True)
    add(kept, "c", "d")
    kept.create(asked("late"), b"", existing=False)
    # A version that came and went between two looks.
    write_version(
        kept.collection, [*versions.read(kept.collection).parts, write_part(kept.collection, ["e"])]
    )
    add(kept, "f")
    assert judge(kept, "new") == ["c", "d", "e", "f"]
    assert judge(kept, "all") == ["a", "b", "c", "d", "e", "f"]
    assert judge(kept, "late") == ["e", "f"]
    # Compaction is no addition; a deleted video that is added again is one.
    write_version(kept.collection, [write_part(kept.collection, list("abcdef"))], reason="compact")
    kept.note_current()
    assert judge(kept, "new") == []
    (part,) = versions.read(kept.collection).parts
    write_version(kept.collection, [without(part, 0)], reason="delete")
    kept.note_current()
    write_version(kept.collection, [part])
    kept.note_current()
    assert judge(kept, "new") == ["a"]


def test_a_version_of_before_that_is_served_again_adds_nothing(kept: Store) -> None:
    kept.create(asked("mine"), b"", existing=False)
    (part,) = versions.read(kept.collection).parts
    both = versions.current(kept.collection)
    less = write_version(kept.collection, [without(part, 0)], reason="delete").id
    for version in (less, both, less, both):
        versions.activate(kept.collection, version)
        kept.note_current()
    assert judge(kept, "mine") == []
    # Whoever starts later knows it too, and what is added to it is new.
    with closing(Store(kept.collection, "c")) as again:
        add(again, "c")
        assert judge(again, "mine") == ["c"]
        # A number that is given again, as the version that had it is gone.
        versions.activate(kept.collection, both)
        again.note_current()
        (kept.collection / "versions" / "00000003.json").unlink()
        (kept.collection / "versions" / "00000002.json").unlink()
        add(again, "d")
        assert versions.numbers(kept.collection) == [1, 2]
        assert judge(again, "mine") == ["d"]


def test_a_kill_between_judging_and_delivery_loses_no_match_and_makes_none_twice(kept: Store) -> None:
    kept.create(asked("hooked", webhook=HOOK), b"", existing=True)
    before = search(kept, "hooked")
    batch = kept.next_batch(before)
    assert batch is not None
    kept.judged(before, batch, [Match(standing_search_id="hooked", video_id="a")])
    # As another process would judge the same again, from what it had read.
    kept.judged(before, batch, [Match(standing_search_id="hooked", video_id="a")])
    with closing(Store(kept.collection, "c")) as again:
        assert judge(again, "hooked") == []
        (delivery,) = deliveries.due(again, (), 4)
        assert (delivery.match.number, delivery.match.video_id, delivery.attempts) == (1, "a", 0)
        assert not deliveries.refused(again, delivery)
        assert deliveries.due(again, (), 4) == []  # later
        assert counting.of(again, [delivery.search])[0] == (0, 1, 1, 0)
        assert deliveries.refused(again, replace(delivery, attempts=deliveries.GIVE_UP - 1))
        assert counting.of(again, [delivery.search])[0] == (0, 1, 0, 1)


def test_matches_of_one_webhook_are_sent_in_order_and_do_not_stop_another(kept: Store) -> None:
    for name in ("one", "two"):
        kept.create(asked(name, webhook=HOOK), b"", existing=True)
        judge(kept, name, "ab")
    first = deliveries.due(kept, (), 4)
    assert [one.match.number for one in first] == [1, 3]
    deliveries.refused(kept, first[0])
    deliveries.sent(kept, first[1])
    assert [one.match.number for one in deliveries.due(kept, (), 4)] == [4]
    assert deliveries.due(kept, {first[1].search.number}, 4) == []


def test_the_same_id_is_the_same_search_and_an_end_takes_all(kept: Store) -> None:
    kept.create(asked("mine"), b"", existing=True)
    assert kept.create(asked("mine"), b"", existing=True).number == 1
    with pytest.raises(InvalidInput, match="another standing search"):
        kept.create(asked("mine", webhook=HOOK), b"", existing=False)
    judge(kept, "mine", "ab")
    assert [one.video_id for one in kept.before(3, "mine", 1)] == ["b"]
    assert [one.video_id for one in kept.after(0, "", 9)] == ["a", "b"]
    kept.delete("mine")
    assert kept.after(0, "", 9) == []
    with pytest.raises(NotFound, match="spr admin watches"):
        kept.delete("mine")
    # A number is no other match's, ever.
    kept.create(asked("next"), b"", existing=True)
    judge(kept, "next", "a")
    assert [one.number for one in kept.after(0, "", 9)] == [3]


def test_matches_and_searches_are_bounded(kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "KEPT", 1)
    monkeypatch.setattr(store, "MOST", 1)
    kept.create(asked("only", webhook=HOOK), b"", existing=True)
    judge(kept, "only", "ab")
    assert [one.number for one in kept.after(0, "", 9)] == [2]
    assert [one.match.number for one in deliveries.due(kept, (), 4)] == [2]
    with pytest.raises(Exception, match="which is the limit") as refused:
        kept.create(asked("more"), b"", existing=False)
    assert getattr(refused.value, "reason", "") == "QUEUE_FULL"


def test_the_threshold_is_never_below_the_precision_and_none_that_is_not_supported() -> None:
    bare, table = Calibration("r", ()), Calibration("r", ((0.5, 0.2), (0.7, 0.75), (0.9, 0.8)))
    for precision, wanted in ((0.5, 0.5), (0.6, 0.75), (0.7, 0.75), (0.85, 0.85)):
        assert table.threshold(StandingSearch(precision=precision)) == wanted
    for calibration, precision, said in ((table, 0.95, "at most 0.9 is"), (bare, 0.1, "none is")):
        with pytest.raises(Mismatch, match=f"{said} supported; ask for a confidence") as refused:
            calibration.threshold(StandingSearch(precision=precision))
        assert refused.value.reason == "PRECISION_NOT_REACHED"
        assert calibration.threshold(StandingSearch(confidence=0.1)) == 0.1


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a/b",
        "a/b",
        "http://",
        "http://a:99999/",
        "http://u:p@a/",
        "http://a/\n",
        "file:///x",
        "http://a..b/",
    ],
)
def test_what_cannot_be_called_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Hosts(None).check(url)
    assert refused.value.field == "standing_search.webhook"


def test_hosts_that_may_be_called(tmp_path: Path) -> None:
    values = {"collection": "c", "index": [{"shard": 0, "listen": "127.0.0.1:7410"}]}
    topology = parse({**values, "ranker": [{"listen": "127.0.0.1:7420"}]}, tmp_path / "t.toml")
    Hosts.of(topology, LibraryConfig()).check("https://anywhere.example/x")
    some = Hosts.of(topology, LibraryConfig(webhook_hosts=("a.example", ".b.example", "c.example:81")))
    for url in ("http://A.example/", "https://x.b.example:8/y", "http://c.example:81"):
        some.check(url)
    for url in ("http://b.example/", "http://evila.example/", "http://c.example/", "http://a.example.evil/"):
        with pytest.raises(PermissionDenied, match="webhook_hosts"):
            some.check(url)
    with pytest.raises(PermissionDenied):
        Hosts(()).check("http://a.example/")
