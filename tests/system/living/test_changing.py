"""Videos are added and deleted while clients search: nothing fails, and the next answer knows."""

from pathlib import Path

from engine import versions
from engine.corpus import open_corpus
from tests.system.living.living import Living, spr
from tests.trainer.library.running import clip


def test_an_added_video_is_found_and_no_search_fails_meanwhile(living: Living, news: Path) -> None:
    path = clip(living.home / "new" / "talk.mp4", 30.0)
    with living.unharmed():
        job = living.admin("add", path, "--wait")
        assert (job["state"], job["searchable"], job["video_ids"]) == ("STATE_DONE", True, ["talk"])
        assert "talk" in living.shown()
    assert living.served() == versions.current(news)
    living.check_answers("news")


def test_a_deleted_video_is_absent_from_the_next_answer_and_comes_back_when_added(
    living: Living, news: Path
) -> None:
    folder = living.home / "pair"
    ids = {clip(folder / f"pair-{n}.mp4", 5.0 + n).stem for n in range(2)}
    with living.unharmed():
        living.admin("add", folder, "--wait")
        assert ids < living.shown()
        assert sum(len(shard.parts) > 1 for shard in open_corpus(news).version.shards) == 2
        living.admin("delete", *ids, "--wait")
        assert not ids & living.shown()
        living.admin("add", folder, "--wait")
        assert ids < living.shown()
    living.check_answers("news")


def test_collections_change_each_for_itself(living: Living, news: Path, lectures: Path) -> None:
    clip(path := living.home / "lecture" / "proof.mp4", 7.0)
    before = versions.current(news)
    living.admin("add", path, "--wait", "--collection", "lectures")
    assert "proof" in living.shown("lectures")
    assert "proof" not in living.shown("news")
    assert (living.served("news"), versions.current(news)) == (before, before)
    listed = {one["name"]: one for one in living.admin("collections")["collections"]}
    assert listed["lectures"]["generation"] == versions.current(lectures) != before
    assert listed["news"]["generation"] == before
    living.admin("delete", "proof", "--wait", "--collection", "lectures")
    assert "proof" not in living.shown("lectures")
    refused = living.admin("delete", "proof", "--wait", code=2)
    assert refused["reason"] == "VIDEO_NOT_FOUND"


def test_commands_work_beside_the_service(living: Living, lectures: Path) -> None:
    path = clip(living.home / "beside" / "beside.mp4", 8.0)
    with living.unharmed("lectures"):
        for command in (("add", lectures, path), ("compact", lectures), ("delete", lectures, "beside")):
            done = spr(*command, "--json")
            living.until_served(done["version"], "lectures")
            assert ("beside" in living.shown("lectures")) == (command[0] != "delete")
    living.check_answers("lectures")
