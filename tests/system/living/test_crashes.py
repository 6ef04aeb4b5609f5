"""Processes are killed in the middle of a change: it is done, once, and all serve the newest version."""

import os
import signal
from pathlib import Path

import pytest

from engine import versions
from tests.system.living.living import Living, spr
from tests.system.service import alive, until
from tests.trainer.library.running import clip


def kill(living: Living, *names: str) -> None:
    for name in names:
        os.kill(pid := living.service.pid_now(name), signal.SIGKILL)
        until(lambda pid=pid: not alive(pid))  # type: ignore[misc]


def settled(living: Living, directory: Path) -> None:
    """Wait until every worker holds the newest version, and answers are right."""
    newest = versions.current(directory)

    def there() -> bool:
        workers = living.admin("status", code=None)["workers"]
        held = [one["generation"] for one in workers if one["name"] != "library"]
        return set(held) == {newest} and all(one["state"] == "STATE_SERVING" for one in workers)

    until(there)
    living.check_answers("news")


def reasons(directory: Path) -> list[str]:
    return [versions.read(directory, str(number)).reason for number in versions.numbers(directory)]


def test_the_library_dies_while_it_works(living: Living, news: Path) -> None:
    before = reasons(news).count("add")
    with living.unharmed():
        path = clip(living.home / "killed" / "killed.mp4", 60.0)
        living.admin("add", path, "--request-id", "killed")
        asked = ("jobs", "--request-id", "killed")
        until(lambda: living.admin(*asked)["jobs"][0]["state"] != "STATE_QUEUED")
        kill(living, "library")
        until(lambda: living.admin(*asked, code=None).get("jobs"))
        # The same request is the same job.
        job = living.admin("add", path, "--request-id", "killed", "--wait")
    assert (job["state"], job["searchable"], job["video_ids"]) == ("STATE_DONE", True, ["killed"])
    assert reasons(news).count("add") == before + 1
    settled(living, news)


@pytest.mark.parametrize(
    "names", [("coordinator",), ("shard-00001",), ("coordinator", "shard-00000", "ranker-0")]
)
def test_others_die_during_a_switch(living: Living, news: Path, names: tuple[str, ...]) -> None:
    served, number = living.served(), len(versions.numbers(news))
    path = clip(living.home / "switched" / f"switched-{number}.mp4", 5.0 + number / 5)
    living.admin("add", path)
    until(lambda: versions.current(news) != served)
    kill(living, *names)
    settled(living, news)
    assert path.stem in living.shown()


def test_a_build_is_killed(living: Living, news: Path) -> None:
    before = versions.current(news)
    import subprocess

    from tests.system.world import SPR

    command = [*SPR, "build", str(news), "--index", "SQfp16", "--device", "cpu", "--json"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as build:
        until(lambda: "build" in (news / ".writer.lock").read_text())
        build.kill()
    assert versions.current(news) == before
    # Its lock is gone with it.
    assert spr("add", news, clip(living.home / "then" / "then.mp4"), "--json")["added"] == ["then"]
    settled(living, news)
