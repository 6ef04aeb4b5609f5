"""The drill: a snapshot is taken while clients search, the collection is lost, and comes back."""

import shutil
from pathlib import Path

from engine import versions
from tests import numeric
from tests.system.living.living import Living, oracle, spr
from tests.system.service import until
from tests.trainer.library.running import clip


def test_a_collection_that_is_lost_comes_back_from_a_snapshot(
    living: Living, news: Path, tmp_path: Path
) -> None:
    copy, elsewhere = tmp_path / "copy", tmp_path / "elsewhere"
    with living.unharmed():
        living.admin("add", clip(tmp_path / "kept" / "kept.mp4"), "--wait")
        living.admin("delete", "built-0", "--wait")
        assert living.admin("snapshot", copy, "--wait")["state"] == "STATE_DONE"
    before, shown = living.moments(), living.shown()
    # Lost after a copy of its own was taken: nothing of it but that is left.
    spr("restore", copy, elsewhere, "--json")
    spr("snapshot", elsewhere, tmp_path / "second", "--json")
    shutil.rmtree(elsewhere)
    spr("restore", tmp_path / "second", elsewhere, "--json")
    assert spr("verify", elsewhere, "--json")["damaged"] == []
    restored = oracle(elsewhere)
    assert [one[0] for one in restored] == [one[0] for one in before]
    numeric.close([one[1:] for one in restored], [one[1:] for one in before])
    # And into the running service, after more was changed.
    living.admin("add", clip(tmp_path / "more" / "more.mp4", 7.0), "--wait")
    assert "more" in living.shown()
    with living.unharmed():
        back = living.admin("restore", copy, "--wait")
    # A merge may have followed.
    until(lambda: back["version"] <= versions.current(news) == living.served())
    assert living.moments() == before
    # The feature store holds what the version does, so that a build and an add go on from it.
    living.admin("add", tmp_path / "more" / "more.mp4", "--wait")
    assert living.shown() == {*shown, "more"}
