"""What ingest keeps beside features, where several write a collection."""

from pathlib import Path

from tests.trainer.ingest.levels import run
from trainer.ingest import kept
from workers.feature_store.store import FeatureStore, Stream


def test_what_an_ingest_with_another_encoder_keeps_stays_until_that_ends(
    tmp_path: Path, videos: Path
) -> None:
    run(tmp_path)
    collection = tmp_path / "c"
    # It writes these before it stores their video.
    files = [collection / folder / name for folder, _, _ in kept.KINDS for name in ("a", ".b.1.partial")]
    with FeatureStore.create(collection / "features" / "other", {"frames": Stream(2, 1.0)}, "float32", {}):
        for path in files:
            path.parent.mkdir(exist_ok=True)
            path.write_text("x")
        run(tmp_path)
        assert all(path.exists() for path in files)
    run(tmp_path)
    assert not any(path.exists() for path in files)


def test_beside_a_store_that_may_not_be_locked_nothing_goes(tmp_path: Path, videos: Path) -> None:
    run(tmp_path)
    other = tmp_path / "c" / "features" / "other"
    FeatureStore.create(other, {"frames": Stream(2, 1.0)}, "float32", {}).close()
    # As another user's, or one that is being removed.
    (other / "lock").unlink()
    (other / "lock").mkdir()
    left = tmp_path / "c" / kept.KINDS[0][0] / "a"
    left.parent.mkdir(exist_ok=True)
    left.write_text("x")
    run(tmp_path)
    assert left.exists()
