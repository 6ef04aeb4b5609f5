"""The feature store survives a kill at every byte, one writer at a time, readers while it grows."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.errors import InvalidInput, Mismatch, NotFound, Unavailable
from workers.store import FeatureStore, NewVideo, Stream

FILES = ["journal.jsonl", "journal.copy.jsonl"]
STREAMS = {"frames": Stream(3, 1.0), "subtitles": Stream(2, 0.5)}


def rows(seed: int, frames: int = 4, subtitles: int = 2) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    return {
        "frames": rng.random((frames, 3), np.float32),
        "subtitles": rng.random((subtitles, 2), np.float32),
    }


def check(store: FeatureStore, expected: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
    assert store.ids() == sorted(expected)
    for video, arrays in expected.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(store.rows(video, name), array.astype(store.dtype))


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    with FeatureStore.create(tmp_path / "s", STREAMS, "float32", {"encoder": "tiny"}) as store:
        record = store.append("b/ü", rows(1), uri="file:///b", sha256="ab", duration=3.5, info={"k": [1]})
        store.append("a", rows(2))
        check(store, {"b/ü": rows(1), "a": rows(2)})
    reader = FeatureStore.open(tmp_path / "s")
    check(reader, {"b/ü": rows(1), "a": rows(2)})
    assert reader.record("b/ü") == record
    assert (record.uri, record.sha256, record.duration, record.info) == ("file:///b", "ab", 3.5, {"k": [1]})
    assert (reader.streams, reader.dtype.name, reader.meta) == (STREAMS, "float32", {"encoder": "tiny"})
    assert "a" in reader
    assert "c" not in reader
    assert len(reader) == 2


def test_rows_are_read_only_views_of_the_file(tmp_path: Path) -> None:
    with FeatureStore.create(tmp_path / "s", STREAMS) as store:
        store.append("a", rows(1))
        view = store.rows("a", "frames")
    assert view.dtype == np.float16
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 0
    np.testing.assert_array_equal(view, rows(1)["frames"].astype(np.float16))


def test_streams_may_be_empty_or_left_out(tmp_path: Path) -> None:
    with FeatureStore.create(tmp_path / "s", STREAMS) as store:
        store.append("none", {})
        store.append("some", {"frames": rows(1)["frames"]})
        assert store.rows("none", "frames").shape == (0, 3)
        assert store.rows("some", "subtitles").shape == (0, 2)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.integers(0, 3), st.booleans()), max_size=12
    )
)
def test_any_order_of_appends_replacements_and_reopenings(
    tmp_path: Path, steps: list[tuple[str, int, int, bool]]
) -> None:
    path = tmp_path / "s"
    shutil.rmtree(path, ignore_errors=True)
    expected: dict[str, dict[str, NDArray[np.float32]]] = {}
    store = FeatureStore.create(path, STREAMS)
    for seed, (video, frames, subtitles, reopen) in enumerate(steps):
        expected[video] = rows(seed, frames, subtitles)
        store.append(video, expected[video], duration=seed)
        if reopen:
            store.close()
            store = FeatureStore.open(path, "a")
        check(store, expected)
    store.close()
    check(FeatureStore.open(path), expected)


def test_a_kill_at_every_byte_loses_only_the_unfinished_video(tmp_path: Path) -> None:
    """Every prefix of the writes of one append: .bin files one after another, the journal, its copy."""
    path = tmp_path / "s"
    with FeatureStore.create(path, STREAMS, "float32") as store:
        store.append("a", rows(1))
        store.append("b", rows(2))
        before = {
            file: (path / file).stat().st_size
            for file in ("frames.bin", "subtitles.bin", "journal.jsonl", "journal.copy.jsonl")
        }
        store.append("b", rows(3, 5, 3))
    after = {file: (path / file).stat().st_size for file in before}
    lengths = dict(before)
    for file in before:
        for length in range(before[file], after[file] + 1):
            lengths[file] = length
            whole = lengths["journal.jsonl"] == after["journal.jsonl"]
            survived = {"a": rows(1), "b": rows(3, 5, 3) if whole else rows(2)}
            killed = tmp_path / "killed"
            shutil.copytree(path, killed)
            for name, size in lengths.items():
                os.truncate(killed / name, size)
            check(FeatureStore.open(killed), survived)
            with FeatureStore.open(killed, "a") as store:
                check(store, survived)
                store.append("c", rows(4))
                check(store, {**survived, "c": rows(4)})
            check(FeatureStore.open(killed), {**survived, "c": rows(4)})
            shutil.rmtree(killed)


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


def three(path: Path) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Make a store of three videos, one of them replaced, and return what is in it."""
    with FeatureStore.create(path, STREAMS) as store:
        store.append("a", rows(1))
        store.append("b", rows(2))
        store.append("c", rows(3))
        store.append("b", rows(4, 5, 3))
    return {"a": rows(1), "b": rows(4, 5, 3), "c": rows(3)}


def bins(path: Path) -> dict[str, bytes]:
    return {name: (path / f"{name}.bin").read_bytes() for name in STREAMS}


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
    damaged = path / data.draw(st.sampled_from(FILES))
    content = bytearray(damaged.read_bytes())
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
            damaged.unlink()
    if damaged.exists():
        damaged.write_bytes(content)
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
            FeatureStore.open(path, mode)  # type: ignore[arg-type]
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


def as_format_1(path: Path) -> None:
    """Turn a store into one as the first format had it: no numbers, no checksums, any name for an id."""
    lines = []
    for line in (path / "journal.jsonl").read_bytes().splitlines():
        entry = {
            key: value for key, value in json.loads(line).items() if key not in ("n", "crc", "checksums")
        }
        lines.append(json.dumps(entry).encode() + b"\n")
    (path / "journal.jsonl").write_bytes(b"".join(lines))
    for name in ("journal.copy.jsonl", "lock"):
        (path / name).unlink()
    header = json.loads((path / "store.json").read_text())
    (path / "store.json").write_text(json.dumps({**header, "format": 1}))


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


@pytest.mark.parametrize(
    ("video", "reason"),
    [
        ("", "it is empty"),
        ("..", "it reads as a path to somewhere else"),
        ("../../x", "it reads as a path to somewhere else"),
        ("a/../b", "it reads as a path to somewhere else"),
        ("/abs/x", "it reads as a path to somewhere else"),
        ("nul\0", "it has control characters"),
        ("esc\x1b[31m", "it has control characters"),
        ("two\nlines", "it has control characters"),
        ("half\udce9", "it has control characters"),
        ("x" * 1001, "it has more than 1000 bytes"),
    ],
)
def test_ids_are_checked_at_the_door(tmp_path: Path, video: str, reason: str) -> None:
    path = tmp_path / "s"
    with FeatureStore.create(path, STREAMS) as store:
        store.append("a", rows(1))
        with pytest.raises(InvalidInput, match=reason):
            store.append(video, rows(1))
        if video:
            with pytest.raises(InvalidInput, match=reason):
                store.revise("a", uri="", info={}, rename=video)
        check(store, {"a": rows(1)})
    as_format_1(path)
    journal = path / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"a"', json.dumps(video).encode()))
    if "control" not in reason:
        with pytest.raises(Mismatch, match=reason):
            FeatureStore.open(path)


@pytest.mark.parametrize(
    "video", ["Cooking pasta [dQw4w9WgXcQ]", "b/x", "...and more", "a..b", "映画 1", " ", "-"]
)
def test_odd_names_are_ids(tmp_path: Path, video: str) -> None:
    with FeatureStore.create(tmp_path / "s", STREAMS) as store:
        store.append(video, rows(1))
    check(FeatureStore.open(tmp_path / "s"), {video: rows(1)})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe{",
        b"null",
        b"[]",
        b"[" * 100_000,
        b'{"format": 2}',
        b'{"format": 2, "dtype": "floaf16", "streams": {}, "meta": {}}',
        b'{"format": 2, "dtype": [], "streams": {}, "meta": {}}',
        b'{"format": 2, "dtype": "float16", "streams": {"frames": {"dim": 0, "step": 1}}, "meta": {}}',
        b'{"format": 2, "dtype": "float16", "streams": {"frames": {"dim": 1e400, "step": 1}}, "meta": {}}',
        b'{"format": 2, "dtype": "float16", "streams": {"frames": 7}, "meta": {}}',
        b'{"format": 2, "dtype": "float16", "streams": {}, "meta": 7}',
    ],
)
def test_a_damaged_header_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    three(tmp_path / "s")
    (tmp_path / "s" / "store.json").write_bytes(content)
    for mode in ("r", "a"):
        with pytest.raises(Mismatch, match=r"store\.json is damaged; restore it from a backup"):
            FeatureStore.open(tmp_path / "s", mode)  # type: ignore[arg-type]


def test_files_that_cannot_be_read_or_written_are_a_sentence(tmp_path: Path, plain_user: None) -> None:
    for name in ("store.json", "journal.jsonl"):
        path = tmp_path / name / "s"
        three(path)
        (path / name).chmod(0)
        with pytest.raises(Mismatch, match=rf"{name} cannot be read \(Permission denied\)"):
            FeatureStore.open(path)
        (path / name).unlink()
        (path / name).mkdir()
        with pytest.raises(Mismatch, match=rf"{name} cannot be read \(Is a directory\)"):
            FeatureStore.open(path)
    three(tmp_path / "s")
    (tmp_path / "s" / "lock").chmod(0)
    with pytest.raises(Unavailable, match=r"lock cannot be written \(Permission denied\); make it writable"):
        FeatureStore.open(tmp_path / "s", "a")
    tmp_path.chmod(0o500)
    with pytest.raises(Unavailable, match=r"new cannot be written \(Permission denied\)"):
        FeatureStore.create(tmp_path / "new", STREAMS)
    tmp_path.chmod(0o700)


def test_videos_are_renamed_and_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "s"
    three(path)
    held = bins(path)
    with FeatureStore.open(path, "a") as store:
        reader = FeatureStore.open(path)
        assert store.revise("a", uri="file:///z", info={"n": 1}, rename="z").id == "z"
        store.forget("c")
        with pytest.raises(NotFound):
            store.forget("c")
        check(store, {"b": rows(4, 5, 3), "z": rows(1)})
        reader.refresh()
        check(reader, {"b": rows(4, 5, 3), "z": rows(1)})
    check(FeatureStore.open(path), {"b": rows(4, 5, 3), "z": rows(1)})
    assert bins(path) == held


def test_a_second_writer_is_refused_and_readers_are_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with FeatureStore.create(path, STREAMS) as store:
        store.append("a", rows(1))
        code = f"from workers.store import FeatureStore; FeatureStore.open({str(path)!r}, 'a')"
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert "another process is writing the feature store" in other.stderr
        with pytest.raises(Unavailable, match="wait for it to end"):
            FeatureStore.open(path, "a")
        check(FeatureStore.open(path), {"a": rows(1)})
    FeatureStore.open(path, "a").close()


def test_a_reader_sees_what_was_whole_and_more_after_refresh(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with FeatureStore.create(path, STREAMS) as store:
        reader = FeatureStore.open(path)
        check(reader, {})
        store.append("a", rows(1))
        check(reader, {})
        reader.refresh()
        check(reader, {"a": rows(1)})
        view = reader.rows("a", "frames")
        for seed in range(50):
            store.append(f"v{seed}", rows(seed, 200))
            store.append("a", rows(100 + seed))
        np.testing.assert_array_equal(view, rows(1)["frames"].astype(np.float16))
        reader.refresh()
        check(reader, {**{f"v{seed}": rows(seed, 200) for seed in range(50)}, "a": rows(149)})


def test_a_reader_beside_a_writing_process(tmp_path: Path) -> None:
    """Every video that a reader sees while another process appends is whole."""
    path = tmp_path / "s"
    FeatureStore.create(path, {"frames": Stream(8, 1.0)}).close()
    code = f"""
import numpy as np
from workers.store import FeatureStore
with FeatureStore.open({str(path)!r}, "a") as store:
    for n in range(60):
        store.append(f"{{n:03d}}", {{"frames": np.full((n + 1, 8), n)}})
"""
    with subprocess.Popen([sys.executable, "-c", code]) as writer:
        seen = 0
        reader = FeatureStore.open(path)
        while writer.poll() is None or seen < 60:
            reader.refresh()
            assert len(reader) >= seen
            seen = len(reader)
            for video in reader.ids():
                frames = reader.rows(video, "frames")
                assert frames.shape == (int(video) + 1, 8)
                assert (frames == int(video)).all()
            assert writer.returncode in (None, 0)


def test_a_failed_write_leaves_no_trace(tmp_path: Path) -> None:
    """A full disk, made by a limit on file size in another process."""
    path = tmp_path / "s"
    with FeatureStore.create(path, STREAMS, "float32") as store:
        store.append("a", rows(1))
    code = f"""
import resource, signal
import numpy as np
from workers.store import FeatureStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
with FeatureStore.open({str(path)!r}, "a") as store:
    try:
        store.append("big", {{"frames": np.ones((1000, 3))}})
    except OSError:
        store.append("b", {{"frames": np.ones((2, 3))}})
        print(store.ids())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['a', 'b']"
    check(FeatureStore.open(path), {"a": rows(1), "b": {"frames": np.ones((2, 3))}})


def test_revise_keeps_the_rows(tmp_path: Path) -> None:
    with FeatureStore.create(tmp_path / "s", STREAMS) as store:
        store.append("a", rows(1), uri="file:///old", sha256="ab", info={"n": 1})
        store.revise("a", uri="file:///new", info={"n": 2})
    reader = FeatureStore.open(tmp_path / "s")
    check(reader, {"a": rows(1)})
    record = reader.record("a")
    assert (record.uri, record.sha256, record.info) == ("file:///new", "ab", {"n": 2})


def test_ensure_makes_opens_and_refuses(tmp_path: Path) -> None:
    FeatureStore.ensure(tmp_path / "s", STREAMS, "float16", {"source": "here"}).close()
    with FeatureStore.ensure(tmp_path / "s", STREAMS, "float16", {"source": "there"}) as store:
        assert store.meta == {"source": "there"}
    assert FeatureStore.open(tmp_path / "s").meta == {"source": "there"}
    with pytest.raises(Mismatch, match="use the settings it was made with"):
        FeatureStore.ensure(tmp_path / "s", {"frames": Stream(3, 0.5)})
    FeatureStore.open(tmp_path / "s", "a").close()
    with pytest.raises(InvalidInput, match="already a feature store"):
        FeatureStore.create(tmp_path / "s", STREAMS)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"frames": np.zeros((2, 4))}, r"frames must be \(n, 3\), got \(2, 4\)"),
        ({"frames": np.zeros(3)}, r"got \(3,\)"),
        ({"faces": np.zeros((2, 3))}, "no stream 'faces'"),
        ({"frames": np.full((2, 3), np.nan)}, "float16 cannot hold"),
        ({"frames": np.full((2, 3), 1e6)}, "float32 store"),
    ],
)
def test_unusable_rows_are_refused(tmp_path: Path, arrays: dict[str, NDArray[Any]], message: str) -> None:
    with FeatureStore.create(tmp_path / "s", STREAMS) as store:
        with pytest.raises(InvalidInput, match=message):
            store.append("a", arrays)
        assert store.ids() == []


def test_unusable_stores_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no feature store"):
        FeatureStore.open(tmp_path)
    with pytest.raises(InvalidInput, match="float16 or float32, not 'int8'"):
        FeatureStore.create(tmp_path / "s", STREAMS, "int8")
    with pytest.raises(InvalidInput, match="cannot be stored"):
        FeatureStore.create(tmp_path / "s", {"../x": Stream(3, 1.0)})
    FeatureStore.create(tmp_path / "s", STREAMS).close()
    store = FeatureStore.open(tmp_path / "s")
    with pytest.raises(NotFound, match="'x' is not in the feature store"):
        store.rows("x", "frames")
    with pytest.raises(NotFound, match="no stream 'faces'"):
        store.rows("x", "faces")
    with pytest.raises(InvalidInput, match="mode 'a'"):
        store.append("x", {})
    header = json.loads((tmp_path / "s" / "store.json").read_text())
    (tmp_path / "s" / "store.json").write_text(json.dumps({**header, "format": 3}))
    with pytest.raises(Mismatch, match="format 3, this program reads up to 2"):
        FeatureStore.open(tmp_path / "s")


def test_a_group_is_what_its_videos_one_by_one_are(tmp_path: Path) -> None:
    group = [
        NewVideo("a", rows(1), "u", "s", 3.0, {"n": 1}),
        NewVideo("b", {"frames": rows(2)["frames"]}),
        NewVideo("a", rows(3)),
    ]
    with (
        FeatureStore.create(tmp_path / "one", STREAMS) as one,
        FeatureStore.create(tmp_path / "g", STREAMS) as g,
    ):
        for video in group:
            one.append(video.id, video.arrays, video.uri, video.sha256, video.duration, video.info)
        g.extend(group[:2])
        g.extend(group[2:])
        with pytest.raises(InvalidInput):
            g.extend([NewVideo("c", rows(1)), NewVideo("d", {"frames": np.zeros((2, 9))})])
    for name in (*FILES, "frames.bin", "subtitles.bin"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "g" / name).read_bytes()
