"""The drill: a snapshot is taken while clients search, the collection is lost, and comes back."""

import shutil
from pathlib import Path

from engine import versions
from tests.system.living.living import Living, spr
from tests.system.service import running, write_topology
from tests.trainer.library.running import clip, world


def test_a_collection_that_is_lost_comes_back_from_a_snapshot(tmp_path: Path) -> None:
    collection = world(tmp_path / "of-films", "films")
    topology = write_topology(tmp_path / "topology.toml", collection, library={})
    copy = tmp_path / "copy"
    with running(tmp_path / "first.jsonl", str(topology)) as service:
        living = Living(tmp_path, service, {"films": collection})
        with living.unharmed():
            living.admin("add", clip(tmp_path / "new" / "new.mp4"), "--wait")
            living.admin("delete", "built-0", "--wait")
            assert living.admin("snapshot", copy, "--wait")["state"] == "STATE_DONE"
        before = living.moments()
    shutil.rmtree(collection)
    spr("restore", copy, collection, "--json")
    assert spr("verify", collection, "--json")["damaged"] == []
    with running(tmp_path / "second.jsonl", str(topology)) as service:
        living = Living(tmp_path, service, {"films": collection})
        assert living.moments() == before
        living.check_answers("films")
        # And into the running service, after more was changed.
        living.admin("add", clip(tmp_path / "new" / "more.mp4", 7.0), "--wait")
        assert "more" in living.shown()
        with living.unharmed():
            restored = living.admin("restore", copy, "--wait")
        assert restored["version"] == versions.current(collection) == living.served()
        assert living.moments() == before
        # The feature store holds what the version does, so that a build and an add go on from it.
        living.admin("add", tmp_path / "new" / "more.mp4", "--wait")
        assert living.shown() == {"built-1", "more", "new"}
