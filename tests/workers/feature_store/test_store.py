"""The feature store survives a kill at every byte, one writer at a time, readers while it grows."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.errors import InvalidInput, Mismatch, NotFound
from tests.workers.feature_store.stores import FILES, STREAMS, bins, check, rows, three
from workers.feature_store.store import FeatureStore, NewVideo, Stream


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
        step = 1 if file.endswith(".bin") else 13
        for length in [*range(before[file], after[file], step), after[file] - 1, after[file]]:
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


def test_a_failed_write_leaves_no_trace(tmp_path: Path) -> None:
    """A full disk, made by a limit on file size in another process."""
    path = tmp_path / "s"
    with FeatureStore.create(path, STREAMS, "float32") as store:
        store.append("a", rows(1))
    code = f"""
import resource, signal
import numpy as np
from workers.feature_store.store import FeatureStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
with FeatureStore.open({str(path)!r}, "a") as store:
    try:
        store.append("big", {{"frames": np.ones((1000, 3))}})
    except OSError as error:
        store.append("b", {{"frames": np.ones((2, 3))}})
        print(store.ids(), error.filename)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"['a', 'b'] {path / 'frames.bin'}"
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
