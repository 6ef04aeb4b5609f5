"""Processes of a living service that are killed, and what is waited for then."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from engine import versions
from tests.forked import spr
from tests.system.living.living import Living
from tests.system.service import alive, until


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


def state(living: Living, request: str) -> str:
    return next((job["state"] for job in living.admin("jobs", "--request-id", request)["jobs"]), "")


def spr_admin(living: Living, *arguments: object) -> Any:
    """Run it as a process of its own: another thread prints, too."""
    log = living.home / "spr-admin.log"
    with spr(log, "admin", *arguments, "--address", living.service.ready["admin"], "--json") as command:
        told = command.stdout.read()
        assert command.wait(timeout=300) == 0, log.read_text()
    return json.loads(told)
