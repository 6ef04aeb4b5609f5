"""One writer at a time, and readers beside it, in this process and in others."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.errors import Unavailable
from tests.workers.feature_store.stores import STREAMS, check, rows
from workers.feature_store.store import FeatureStore, Stream


def test_a_second_writer_is_refused_and_readers_are_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with FeatureStore.create(path, STREAMS) as store:
        store.append("a", rows(1))
        code = f"from workers.feature_store.store import FeatureStore; FeatureStore.open({str(path)!r}, 'a')"
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
from workers.feature_store.store import FeatureStore
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
