"""Processes are killed in the middle of a change: it is done, once, and all serve the newest version."""

import json
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from engine import versions
from tests.system.living.living import Living, spr
from tests.system.service import alive, until
from tests.system.world import SPR
from tests.trainer.library.running import clip


def kill(living: Living, *names: str) -> None:
    for name in names:
        os.kill(pid := living.service.pid_now(name), signal.SIGKILL)
        until(lambda pid=pid: not alive(pid))  # type: ignore[misc]


def settled(living: Living, directory: Path) -> None:
    """Wait until every worker holds the newest version, and answers are right."""

    def there() -> bool:
        newest = versions.current(directory)
        workers = living.admin("status", code=None).get("workers", [])
        held = [one["generation"] for one in workers if one["name"] != "library"]
        return set(held) == {newest} and all(one["state"] == "STATE_SERVING" for one in workers)

    until(there)
    living.check_answers("news")


def reasons(directory: Path) -> list[str]:
    return [versions.read(directory, str(number)).reason for number in versions.numbers(directory)]


def test_the_library_dies_while_it_works_and_who_waits_for_it_waits_on(living: Living, news: Path) -> None:
    before = reasons(news).count("add")
    path = clip(living.home / "killed" / "killed.mp4", 30.0)
    command = ("add", path, "--request-id", "killed", "--wait")
    with living.unharmed(), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(spr_admin, living, *command)
        until(lambda: state(living, "killed") == "STATE_RUNNING")
        kill(living, "library")
        job = waiting.result()
    assert (job["state"], job["searchable"], job["video_ids"]) == ("STATE_DONE", True, ["killed"])
    # The same request is the same job.
    assert living.admin(*command) == job
    assert reasons(news).count("add") == before + 1
    settled(living, news)


def state(living: Living, request: str) -> str:
    return next((job["state"] for job in living.admin("jobs", "--request-id", request)["jobs"]), "")


def spr_admin(living: Living, *arguments: object) -> Any:
    """Run it as a process of its own: another thread prints, too."""
    command = [*SPR, "admin", *map(str, arguments), "--address", living.service.ready["admin"], "--json"]
    return json.loads(subprocess.run(command, capture_output=True, check=True, timeout=300).stdout)


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
    command = [*SPR, "build", str(news), "--index", "SQfp16", "--device", "cpu", "--json"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as build:
        until(lambda: "build" in (news / ".writer.lock").read_text())
        build.kill()
    assert versions.current(news) == before
    # Its lock is gone with it.
    assert spr("add", news, clip(living.home / "then" / "then.mp4"), "--json")["added"] == ["then"]
    settled(living, news)
