"""A service whose collections change: no search fails, and the next answer knows.

One module, so that one service is started for all of it.
"""

import contextlib
import json
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from engine import config, metrics, versions
from engine.corpus import open_corpus
from spr.v1.search_service_pb2 import SearchRequest
from spr.v1.search_service_pb2_grpc import SearchServiceStub
from tests import forked
from tests.system.living import observing
from tests.system.living.crashing import kill, reasons, settled, spr_admin, state
from tests.system.living.living import Living, spr
from tests.system.living.models import trained
from tests.system.service import until
from tests.trainer.library.running import clip
from tests.workers.ranker.factories import TEXTS, WIDTH, tiny_clip
from trainer.library.watching import QUIET


def test_an_added_video_is_found_and_no_search_fails_meanwhile(living: Living, news: Path) -> None:
    path = clip(living.home / "new" / "talk.mp4", 30.0)
    with living.unharmed():
        job = living.admin("add", path, "--wait")
        assert (job["state"], job["searchable"], job["video_ids"]) == ("STATE_DONE", True, ["talk"])
        assert "talk" in living.shown()
    # Which may be one more already, of a merge.
    until(lambda: living.served() == versions.current(news))
    living.check_answers("news")


def test_a_deleted_video_is_absent_from_the_next_answer_and_comes_back_when_added(
    living: Living, news: Path
) -> None:
    folder = living.home / "pair"
    ids = {clip(folder / f"pair-{n}.mp4", 5.0 + n).stem for n in range(2)}
    with living.unharmed():
        living.admin("add", folder, "--wait")
        assert ids < living.shown()
        assert any(len(shard.parts) > 1 for shard in open_corpus(news).version.shards)
        living.admin("delete", *ids, "--wait")
        assert not ids & living.shown()
        living.admin("add", folder, "--wait")
        assert ids < living.shown()
    living.check_answers("news")


def test_collections_change_each_for_itself(living: Living, news: Path, lectures: Path) -> None:
    clip(path := living.home / "lecture" / "proof.mp4", 7.0)
    # Of itself the library merges what the tests before this one have left.
    living.admin("compact", "--wait", "--collection", "news")
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


def test_another_projector_and_ranker(living: Living, news: Path) -> None:
    stage1, stage2 = trained(news)
    with living.unharmed():
        living.check_answers("news")
        before = living.moments()
        spr("build", news, "--projector", stage1, "--ranker", stage2, "--device", "cpu", "--json")
        living.check_answers("news")
        assert living.moments() != before
        # What is added from now on is made with them.
        living.admin("add", clip(living.home / "later" / "later.mp4", 9.0), "--wait")
        living.check_answers("news")
        assert "later" in living.shown()


def test_another_encoder_of_another_width_and_back(living: Living, lectures: Path) -> None:
    encoder = tiny_clip(living.home / "wide", seed=4, width=2 * WIDTH)
    videos = lectures.parent / "videos"
    added = set(open_corpus(lectures).catalogue.ids) - {video.stem for video in videos.iterdir()}
    if added:  # by other tests, of files that this one does not ingest
        living.admin("delete", *added, "--wait", "--collection", "lectures")
    with living.unharmed("lectures"):
        living.check_answers("lectures")
        before = living.moments("lectures")
        given = ("--collection", lectures, "--encoder", encoder, "--device", "cpu", "--json")
        made = spr("ingest", videos, *given)
        chosen = ("--encoder", made["fingerprint"], "--projector", "none", "--ranker", "none")
        spr("build", lectures, *chosen, "--device", "cpu", "--json")
        living.check_answers("lectures")
        assert living.moments("lectures") != before
        path = clip(living.home / "wider" / "wider.mp4", 9.0)
        living.admin("add", path, "--wait", "--collection", "lectures")
        living.check_answers("lectures")
        assert "wider" in living.shown("lectures")
        for _ in range(2):  # before the add, before the build
            living.admin("rollback", "--collection", "lectures")
        assert living.moments("lectures") == before
        living.admin("add", path, "--wait", "--collection", "lectures")
        living.check_answers("lectures")
        assert "wider" in living.shown("lectures")


def test_the_library_dies_while_it_works_and_who_waits_for_it_waits_on(living: Living, news: Path) -> None:
    before = reasons(news).count("add")
    path = clip(living.home / "killed" / "killed.mp4", 30.0)
    command = ("add", path, "--request-id", "killed", "--wait")
    with living.unharmed(), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(spr_admin, living, *command)
        # On a busy machine it may be done between two looks.
        until(lambda: state(living, "killed") in ("STATE_RUNNING", "STATE_DONE"))
        kill(living, "library")
        job = waiting.result()
    assert (job["state"], job["searchable"], job["video_ids"]) == ("STATE_DONE", True, ["killed"])
    # The same request is the same job.
    assert living.admin(*command) == job
    assert reasons(news).count("add") == before + 1
    settled(living, news)


@pytest.mark.parametrize(
    "names", [("coordinator",), ("shard-00001",), ("coordinator", "shard-00000", "ranker-0")]
)
def test_others_die_during_a_switch(living: Living, news: Path, names: tuple[str, ...]) -> None:
    served, folder = living.served(), living.home / "switched"
    # Another one each time: versions are removed, so that their number would come again.
    number = len(list(folder.glob("*")))
    path = clip(folder / f"switched-{number}.mp4", 8.0 + number / 5)
    living.admin("add", path)
    until(lambda: versions.current(news) != served)
    kill(living, *names)
    settled(living, news)
    # The version that came first may have been of a merge that an earlier add began.
    until(lambda: path.stem in living.shown())


def copied_slowly(source: Path, *targets: Path) -> None:
    """Copy a file in pieces, with a pause after each that is shorter than a complete file is quiet."""
    content = source.read_bytes()
    for start in range(0, len(content), len(content) // 2 + 1):
        for target in targets:
            with target.open("ab") as file:
                file.write(content[start : start + len(content) // 2 + 1])
        time.sleep(QUIET / 2)


def test_by_the_service_and_in_the_foreground(living: Living, lectures: Path) -> None:
    (folder := living.home / "folder").mkdir()
    log = living.home / "watching.log"
    command = ("ingest", "--watch", folder, "--collection", lectures, "--device", "cpu")
    with forked.spr(log, *command) as watcher, contextlib.ExitStack() as stack:
        # It never ends by itself, also where the test fails.
        stack.callback(watcher.kill)
        until(lambda: "watching" in log.read_text() or watcher.poll() is not None)
        source = clip(living.home / "slow" / "slow.mp4", 12.0)
        with living.unharmed():
            copied_slowly(source, folder / "aside.mp4", living.home / "inbox" / "arrived.mp4")
            until(lambda: "arrived" in living.shown("news"))
        until(lambda: "aside" in living.shown("lectures"))
        watcher.send_signal(signal.SIGINT)
        out = watcher.stdout.read()
        assert watcher.wait(timeout=300) == 130, log.read_text()
    assert out.count("added     aside") == 1
    (job,) = [one for one in living.admin("jobs")["jobs"] if one["video_ids"] == ["arrived"]]
    assert (job["state"], job["warnings"]) == ("STATE_DONE", [])


def test_dashboard_and_alerts_ask_for_what_is_exported(living: Living) -> None:
    living.admin("verify", "--wait")
    assert living.shown()
    topology = config.read(living.topology)
    assert topology.library is not None
    processes: list[Any] = [topology.coordinator, *topology.index, *topology.ranker, topology.library]
    addresses = [one.metrics for one in processes]
    assert {observing.fetch(address, "/healthz") for address in addresses} == {"serving\n"}
    exported = observing.scrape(addresses)
    asked = observing.queries()
    assert len(asked) > 40
    assert {
        where: wrong for where, query in asked.items() if (wrong := observing.faults(query, exported))
    } == {}
    # Each name that is documented is exported, and each that is exported is documented.
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in exported if name.startswith("spr_")}
    assert families == {about.name for about in metrics.ALL}
    assert observing.faults("sum by (shard) (spr_rpcs_total{metod='a'})", exported) == [
        "nothing has metod MatchOp.Equal a of spr_rpcs_total",
        "no label shard",
    ]


def test_one_search_is_one_trace_over_all_processes_and_its_log_lines_name_it(living: Living) -> None:
    trace, caller = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    request = SearchRequest(text=TEXTS[2], request_id="the-traced-one")
    with grpc.insecure_channel(living.service.address) as channel:
        search = SearchServiceStub(channel).Search
        search(SearchRequest(text=TEXTS[1]), timeout=60)
        answer = search(request, timeout=60, metadata=(("traceparent", f"00-{trace}-{caller}-01"),))
    spans = living.traces.spans
    until(lambda: len(spans) >= len(observing.TREE))
    assert {span.trace for span in spans} == {trace}
    named = {span.id: span.name.rpartition("/")[2] for span in spans} | {caller: "caller"}
    tree = sorted((span.service, named[span.id], named[span.parent]) for span in spans)
    assert tree == sorted(observing.TREE)
    (root,) = (span for span in spans if span.parent == caller)
    assert root.attributes["spr.collection"] == "news"
    assert root.attributes["spr.version"] == answer.versions.generation
    assert not any(TEXTS[2] in str(span) for span in spans)
    lines = map(json.loads, living.service.log.read_text().splitlines())
    (line,) = (one for one in lines if one.get("request_id") == "the-traced-one")
    assert (line["message"], line["level"], line["trace_id"]) == ("slow search", "warning", trace)
    assert set(metrics.STAGES) < set(line["ms"])
    assert "query" not in line
