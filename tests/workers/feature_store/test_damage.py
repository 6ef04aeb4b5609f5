"""What befalls a store's files: nothing acknowledged is lost, and what cannot be used is a sentence."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import Mismatch
from tests.workers.feature_store.stores import FILES, STREAMS, as_format_1, bins, check, rows, three
from workers.feature_store.store import FeatureStore


@pytest.mark.parametrize(
    "tail", [b"\0\0\0\0", b"\0\0\0\n", b'{"id": "b"', b'{"id": "b"}\n', b"[]\n", b"\xff\xfe\n"]
)
@pytest.mark.parametrize("names", [["journal.jsonl"], ["journal.copy.jsonl"], FILES])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, tail: bytes, names: list[str]) -> None:
    with FeatureStore.create(tmp_path / "s", STREAMS) as store:
        store.append("a", rows(1))
    for name in names:
        with (tmp_path / "s" / name).open("ab") as journal:
            journal.write(tail)
    check(FeatureStore.open(tmp_path / "s"), {"a": rows(1)})
    with FeatureStore.open(tmp_path / "s", "a") as store:
        store.append("b", rows(2))
    check(FeatureStore.open(tmp_path / "s"), {"a": rows(1), "b": rows(2)})


def damage(file: Path, data: st.DataObject) -> None:
    """Cut, garble, empty or remove a file."""
    content = bytearray(file.read_bytes())
    match data.draw(st.sampled_from(["cut", "flip", "zeros", "drop lines", "gone"])):
        case "cut":
            content = content[: data.draw(st.integers(0, len(content)))]
        case "flip":
            for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=5)):
                content[place] ^= 1 << data.draw(st.integers(0, 7))
        case "zeros":
            first, last = sorted(data.draw(st.tuples(*[st.integers(0, len(content))] * 2)))
            content[first:last] = bytes(last - first)
        case "drop lines":
            lines = bytes(content).splitlines(keepends=True)
            content = bytearray(b"".join(line for line in lines if data.draw(st.booleans())))
        case "gone":
            file.unlink()
            return
    file.write_bytes(content)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_befalls_a_journal_nothing_acknowledged_is_lost(tmp_path: Path, data: st.DataObject) -> None:
    """One of the two is cut, garbled, emptied or gone, and the last append may have been killed anywhere."""
    path = tmp_path / "s"
    shutil.rmtree(path, ignore_errors=True)
    expected = three(path)
    before = {file: (path / file).stat().st_size for file in ["frames.bin", "subtitles.bin", *FILES]}
    with FeatureStore.open(path, "a") as store:
        store.append("d", rows(9))
    killed = data.draw(st.sampled_from(["no", *before]))
    for file in list(before)[list(before).index(killed) :] if killed != "no" else []:
        size = (path / file).stat().st_size
        os.truncate(
            path / file, data.draw(st.integers(before[file], size - 1)) if file == killed else before[file]
        )
    damage(path / data.draw(st.sampled_from(FILES)), data)
    if killed == "no":
        expected["d"] = rows(9)

    held = bins(path)
    reader = FeatureStore.open(path)
    assert {video for video in reader.ids() if video != "d"} == {"a", "b", "c"}
    for _ in range(2):
        with FeatureStore.open(path, "a") as store:
            for name, old in held.items():
                assert bins(path)[name].startswith(old)
            if killed != "no" and "d" in store:
                expected["d"] = rows(9)
            check(store, expected)
            expected["e"] = rows(10)
            store.append("e", expected["e"])
            check(store, expected)
    assert FeatureStore.open(path).notices == []
    assert (path / FILES[0]).read_bytes() == (path / FILES[1]).read_bytes()


def test_a_journal_that_lost_lines_is_told_and_mended(tmp_path: Path) -> None:
    path = tmp_path / "s"
    expected = three(path)
    journal = path / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))
    reader = FeatureStore.open(path)
    check(reader, expected)
    (notice,) = reader.notices
    assert "journal.jsonl has lost 2 of 4 lines; nothing is lost" in notice
    with FeatureStore.open(path, "a") as store:
        assert store.notices == [notice]
        check(store, expected)
    assert journal.read_bytes() == whole
    assert FeatureStore.open(path).notices == []


def test_a_line_that_both_journals_lost_is_refused_and_nothing_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "s"
    three(path)
    held = bins(path)
    for name in FILES:
        lines = (path / name).read_bytes().splitlines(keepends=True)
        (path / name).write_bytes(b"".join([lines[0], lines[1][:40] + b"\n", *lines[2:]]))
    for mode in ("r", "a"):
        with pytest.raises(Mismatch, match=r"journal\.copy\.jsonl beside it are both damaged at line 2 of 4"):
            FeatureStore.open(path, mode)
    assert bins(path) == held


def test_rows_without_a_line_are_told_and_never_overwritten(tmp_path: Path) -> None:
    """Both journals end early: a kill before the line was written looks the same."""
    path = tmp_path / "s"
    three(path)
    held = bins(path)
    for name in FILES:
        lines = (path / name).read_bytes().splitlines(keepends=True)
        (path / name).write_bytes(b"".join(lines[:2]))
    for notice, name, count in zip(FeatureStore.open(path).notices, STREAMS, (9, 5), strict=True):
        assert f"{name}.bin ends in {count} rows that no line of the journal names" in notice
        assert "they are kept" in notice
    with FeatureStore.open(path, "a") as store:
        store.append("x", rows(7))
        check(store, {"a": rows(1), "b": rows(2), "x": rows(7)})
    assert all(bins(path)[name].startswith(old) for name, old in held.items())
    assert FeatureStore.open(path).notices == []


def test_a_bin_file_that_is_short_is_refused(tmp_path: Path) -> None:
    three(tmp_path / "s")
    os.truncate(tmp_path / "s" / "frames.bin", 5)
    with pytest.raises(Mismatch, match=r"frames\.bin has 5 bytes but the journal names 102"):
        FeatureStore.open(tmp_path / "s", "a")


@pytest.mark.parametrize("damage", ["flip", "zeros"])
def test_damaged_rows_are_named_with_the_remedy(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "s"
    with FeatureStore.create(path, STREAMS) as store:
        store.append("a", rows(1))
        store.append("b", rows(2), uri="file:///films/b%20c.mp4")
    content = bytearray((path / "frames.bin").read_bytes())
    content[24:48] = bytes(24) if damage == "zeros" else bytes([content[24] ^ 1]) + content[25:48]
    (path / "frames.bin").write_bytes(content)
    reader = FeatureStore.open(path)
    np.testing.assert_array_equal(reader.rows("a", "frames"), rows(1)["frames"].astype(np.float16))
    np.testing.assert_array_equal(reader.rows("b", "subtitles"), rows(2)["subtitles"].astype(np.float16))
    assert (reader.sound("a"), reader.sound("b")) == (True, False)
    for _ in range(2):
        with pytest.raises(
            Mismatch, match=r"frames\.bin is damaged: rows 4 to 7, stream frames of video 'b'"
        ) as told:
            reader.rows("b", "frames")
        assert "ingest that video again: spr ingest '/films/b c.mp4'" in str(told.value)
    with FeatureStore.open(path, "a") as store:
        store.append("b", rows(2))
        check(store, {"a": rows(1), "b": rows(2)})


def test_a_store_of_format_1_opens_and_gets_checksums_from_its_next_writer(tmp_path: Path) -> None:
    path = tmp_path / "s"
    expected = three(path)
    as_format_1(path)
    journal = (path / "journal.jsonl").read_bytes()
    reader = FeatureStore.open(path)
    check(reader, expected)
    assert reader.record("a").checksums == {}
    assert (path / "journal.jsonl").read_bytes() == journal
    with FeatureStore.open(path, "a") as store:
        assert set(store.record("a").checksums) == set(STREAMS)
        store.append("d", rows(5))
        check(store, {**expected, "d": rows(5)})
    check(FeatureStore.open(path), {**expected, "d": rows(5)})
    reader.refresh()
    check(reader, {**expected, "d": rows(5)})


def test_format_1_took_any_name_for_an_id_and_a_torn_last_line(tmp_path: Path) -> None:
    path = tmp_path / "s"
    three(path)
    as_format_1(path)
    journal = path / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"id": "a"', b'"id": "two\\nlines"') + b'{"id": "to')
    with FeatureStore.open(path, "a") as store:
        assert store.ids() == ["b", "c", r"two\nlines"]
    as_format_1(path)
    journal.write_bytes(b"x" + journal.read_bytes())
    with pytest.raises(Mismatch, match=r"journal\.jsonl is damaged in line 1 of 3 .* ingest again"):
        FeatureStore.open(path)
