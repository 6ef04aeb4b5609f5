"""Several writers of one store, a part each; readers see the union."""

import json
import threading
from pathlib import Path

import pytest

from engine.errors import InvalidInput, Mismatch, NotFound, Unavailable
from tests.workers.feature_store.stores import STREAMS, check, rows
from workers.feature_store.erasing import erase
from workers.feature_store.recalling import recall
from workers.feature_store.shares import Share
from workers.feature_store.store import FeatureStore


def share(path: Path, text: str) -> FeatureStore:
    return FeatureStore.ensure(path, STREAMS, share=Share.parse(text))


def fill(path: Path, text: str, *videos: str) -> None:
    with share(path, text) as store:
        for video in videos:
            store.append(video, rows(len(video)), uri=f"file:///{video}", sha256=video * 2)


@pytest.mark.parametrize("text", ["4/4", "1/0", "-1/4", "x", "1", "0/1001", "1/4/", ""])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="write I/N"):
        Share.parse(text)


def test_readers_see_the_union_of_what_writers_at_the_same_time_write(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with share(path, "1/3") as second, share(path, "0/3") as first, share(path, "2/3") as third:
        reader = FeatureStore.open(path)
        first.append("a", rows(1))
        third.append("ccc", rows(3))
        second.append("bb", rows(2))
        assert sorted(reader.refresh()) == ["a", "bb", "ccc"]
        assert sorted(second.refresh()) == ["a", "ccc"]
        assert (second.writable("bb"), second.writable("a"), second.part_of("ccc")) == (True, False, 2)
        check(reader, {"a": rows(1), "bb": rows(2), "ccc": rows(3)})
        with pytest.raises(InvalidInput, match="not open for appending"):
            second.forget("a")
    check(FeatureStore.open(path), {"a": rows(1), "bb": rows(2), "ccc": rows(3)})


def test_a_store_that_many_begin_at_once_is_made_once(tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=fill, args=(tmp_path / "s", f"{n}/8", "v" * (n + 1))) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(FeatureStore.open(tmp_path / "s"), {"v" * n: rows(n) for n in range(1, 9)})


def test_a_part_has_one_writer_and_the_whole_none_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.feature_store.making._PATIENCE", 0.0)
    path = tmp_path / "s"
    fill(path, "3/4", "d")
    # 1/2 writes parts 1 and 3.
    with share(path, "1/2"):
        for other in ("1/2", "3/4", "0/1"):
            with pytest.raises(Unavailable, match="another process is writing"):
                share(path, other)
        share(path, "0/2").close()
    with FeatureStore.open(path, "a"), pytest.raises(Unavailable, match="another process is writing"):
        share(path, "0/2")


def test_one_writer_of_the_whole_changes_what_lies_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "s"
    fill(path, "0/3", "a")
    fill(path, "2/3", "bb", "ccc", "dddd")
    with FeatureStore.open(path, "a") as store:
        store.revise("bb", uri="file:///new", info={"labels": ["x"]}, rename="BB")
        store.append("ccc", rows(5))
        store.forget("dddd", deleted=True)
        store.append("e", rows(6))
        assert (store.part_of("BB"), store.part_of("ccc"), store.part_of("e")) == (2, 2, 0)
    whole = {"a": rows(1), "BB": rows(2), "ccc": rows(5), "e": rows(6)}
    check(FeatureStore.open(path), whole)
    with FeatureStore.open(path, "a") as store:
        assert recall(store, {"dddd", "zzz"}) == ["dddd"]
        check(store, whole | {"dddd": rows(4)})
        store.forget("dddd", deleted=True)
        # The first rows of "ccc" and those of "dddd".
        assert erase(store) == sum(len(array) for n in (3, 4) for array in rows(n).values())
        check(store, whole)


def test_of_two_videos_of_one_id_the_lower_parts_counts_and_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with share(path, "1/3") as first, share(path, "2/3") as second:
        first.append("v", rows(1), uri="file:///1/v.mp4", sha256="1")
        second.append("v", rows(2), uri="file:///2/v.mp4", sha256="2")
    reader = FeatureStore.open(path)
    assert (reader.ids(), len(reader), reader.record("v").sha256) == (["v"], 1, "1")
    (notice,) = reader.notices
    assert "file:///2/v.mp4; the second is not in the collection: ingest it again" in notice
    # Its writer takes it out; the file is then one that nobody knows.
    share(path, "2/3").close()
    assert FeatureStore.open(path).notices == []
    check(reader, {"v": rows(1)})


def test_a_part_that_lost_its_header_is_named_and_made_whole_by_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "s"
    fill(path, "1/2", "a")
    (path / "parts" / "1" / "store.json").unlink()
    with pytest.raises(NotFound, match=r"no feature store in .*parts/1 "):
        FeatureStore.open(path)
    share(path, "1/2").close()
    check(FeatureStore.open(path), {"a": rows(1)})


def test_the_writer_of_the_whole_mends_and_opens_only_what_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "s"
    for index in range(1, 4):
        fill(path, f"{index}/4", "v" * index)
    journal = path / "parts" / "2" / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-5])
    with FeatureStore.open(path, "a") as store:
        assert [number for number, part in store.parts.items() if part.writable] == [0, 2]
        (notice,) = store.notices
        assert f"{journal} has lost 1 of 1 lines" in notice
        store.forget("vvv")
        assert store.parts[3].writable
    assert journal.read_bytes() == whole
    check(FeatureStore.open(path), {"v": rows(1), "vv": rows(2)})


def test_a_part_of_other_settings_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s"
    fill(path, "1/2")
    header = path / "parts" / "1" / "store.json"
    about = json.loads(header.read_text())
    del about["crc"]
    header.write_text(json.dumps(about | {"dtype": "float32"}))
    with pytest.raises(Mismatch, match=r"parts/1 holds .* as float32, and .* as float16"):
        FeatureStore.open(path)
