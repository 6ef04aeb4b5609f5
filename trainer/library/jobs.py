"""The durable queue of a collection's jobs: COLLECTION/jobs.sqlite.

A job is on disk when `submit` returns (SQLite's write-ahead log, synced). One that was running when its
process died runs again, by itself: which of several was too much for it shows only so. One at which several
processes died fails, or it would stand in the way of all that follow for ever. The library process alone
writes; SQLite keeps others out.
"""

import itertools
import json
import sqlite3
import time
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine import metrics
from engine.errors import InvalidInput, Overloaded, quoted
from spr.v1.admin_service_pb2 import Job, SubmitJobRequest
from trainer.library.database import Database
from trainer.library.job_rows import FORMAT, SCHEMA, Waiting
from trainer.library.tasks import (
    DONE,
    FAILED,
    QUEUED,
    RUNNING,
    Outcome,
    Task,
    job_of,
    kind_of,
    kinds,
    work_of,
)

FILE = "jobs.sqlite"
# Finished jobs that are kept: so long is a request id known.
KEPT = 10_000
LONGEST_ID = 64
# Processes that may die at a job before it fails.
DEATHS = 5
_DEADLY = Outcome(
    error=f"the library died {DEATHS} times while it did this job: its log, or the system's, says of what. "
    "Submit it again, under another request id, when that is mended.",
    reason="LIBRARY_DIED",
)
# Of a job that waits: nothing is known of it.
_FRESH = "{}"


@dataclass
class Queue:
    """The jobs of one collection, by the order of their submission; used from many threads.

    name: the collection's in the API. max_queued: jobs that may wait.
    """

    collection: Path
    name: str
    max_queued: int
    _details: dict[int, str] = field(default_factory=dict)
    _waiting: int = 0

    def __post_init__(self) -> None:
        lost = "jobs that waited are lost, no video is"
        self._database = Database(self.collection / FILE, SCHEMA, FORMAT, lost, "QUEUE_CORRUPT")
        # So that each is exported at 0, and its first job is seen as an increase.
        for kind in kinds():
            for state in (DONE, FAILED):
                metrics.bound(metrics.JOBS_ENDED, self.name, kind, state)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def submit(self, request: SubmitJobRequest, again: Collection[str] = ()) -> Job:
        """Note a job, durably, and return it; the one there is where its id is known.

        again: reasons for which one that failed is to be done again.
        Raises InvalidInput for an id that is no name, or that is another job's; Overloaded for a full queue.
        """
        name = request.request_id or uuid.uuid4().hex
        if not (name.isascii() and name.isprintable() and len(name) <= LONGEST_ID):
            message = f"request id {quoted(name)} is not 1 to {LONGEST_ID} printable ASCII characters."
            raise InvalidInput(message, field="request_id")
        work = work_of(request)
        with self._database.changing() as database:
            row = self._row(database, name)
            if row is None:
                waiting = "select count(*) from jobs where state = ?"
                if database.execute(waiting, (QUEUED,)).fetchone()[0] >= self.max_queued:
                    message = f"{self.max_queued} jobs wait, which is the limit; try again"
                    raise Overloaded(message, retry_after=5.0)
                columns = (name, kind_of(request), work, QUEUED, time.time())
                database.execute(
                    "insert into jobs (id, kind, work, state, created) values (?, ?, ?, ?, ?)", columns
                )
                row = self._row(database, name)
            assert row is not None
            job = self._job(row)
            if job.reason in again:
                retry = "update jobs set state = ?, ended = 0, outcome = ? where id = ?"
                database.execute(retry, (QUEUED, _FRESH, name))
        if row["work"] != work:
            message = f"request id {quoted(name)} is that of another job: give every job an id of its own."
            raise InvalidInput(message, field="request_id")
        return job

    def take(self, most: int) -> list[Task]:
        """Begin the oldest job that waits, an add with those that follow it; [] where none waits."""
        columns = "number, id, kind, work, attempts, outcome"
        with self._database.changing() as database:
            rows = database.execute(
                f"select {columns} from jobs where state = ? order by number limit ?", (QUEUED, most)
            ).fetchall()
            together = itertools.takewhile(lambda row: (row["kind"], row["outcome"]) == ("add", _FRESH), rows)
            chosen = list(together) or rows[:1]
            begin = "update jobs set state = ?, attempts = attempts + 1 where number = ?"
            database.executemany(begin, [(RUNNING, row["number"]) for row in chosen])
            return [
                Task(
                    r["number"], r["id"], r["kind"], SubmitJobRequest.FromString(r["work"]), r["attempts"] > 0
                )
                for r in chosen
            ]

    def waiting(self) -> int:
        """Return how many jobs wait, at once: as last known while another thread writes to the disk."""
        query = "select count(*) from jobs where state = ?"
        known = self._database.at_once(query, (QUEUED,))
        self._waiting = self._waiting if known is None else known
        return self._waiting

    def first(self) -> Waiting | None:
        """Return the oldest job that waits, None where none does."""
        query = "select number, kind, created from jobs where state = ? order by number limit 1"
        with self._database.reading() as database:
            row = database.execute(query, (QUEUED,)).fetchone()
        return None if row is None else Waiting(row["created"], row["number"], row["kind"])

    def counts(self) -> dict[str, int]:
        """Return how many jobs on record are in each state."""
        with self._database.reading() as database:
            rows = database.execute("select state, count(*) from jobs group by state").fetchall()
        return {state: 0 for state in (QUEUED, RUNNING, DONE, FAILED)} | {row[0]: row[1] for row in rows}

    def oldest(self) -> float:
        """Return the age in seconds of the oldest job that has not ended, 0 where there is none."""
        query = "select min(created) from jobs where state in (?, ?)"
        with self._database.reading() as database:
            (created,) = database.execute(query, (QUEUED, RUNNING)).fetchone()
        return 0.0 if created is None else max(0.0, time.time() - created)

    def tell(self, task: "Task | Waiting", detail: str) -> None:
        """Note what a job does now, or why it waits; not durable."""
        self._details[task.number] = detail

    def end(self, task: Task, outcome: Outcome) -> None:
        """Note how a job ended, durably, and forget the oldest ones that ended."""
        state = FAILED if outcome.error else DONE
        text = json.dumps(outcome.as_json())
        with self._database.changing() as database:
            end = "update jobs set state = ?, ended = ?, outcome = ? where number = ?"
            database.execute(end, (state, time.time(), text, task.number))
            ended = "select number from jobs where state in (?, ?) order by number desc limit -1 offset ?"
            database.execute(f"delete from jobs where number in ({ended})", (DONE, FAILED, KEPT))
        metrics.bound(metrics.JOBS_ENDED, self.name, task.kind, state).inc()
        self._details.pop(task.number, None)

    def put_back(self, task: Task, alone: bool = False) -> None:
        """Let a job that was begun wait again, at its place. alone: to be done without others."""
        with self._database.changing() as database:
            database.execute("update jobs set state = ? where number = ?", (QUEUED, task.number))
            if alone:
                noted = "update jobs set outcome = json_set(outcome, '$.alone', 1) where number = ?"
                database.execute(noted, (task.number,))

    def let_go(self) -> None:
        """Let the jobs in hand wait again: this process, which ends, did not die at them."""
        with self._database.changing() as database:
            database.execute("update jobs set state = ? where state = ?", (QUEUED, RUNNING))

    def recover(self) -> tuple[int, list[str]]:
        """Let the jobs that a killed process was at wait again; the caller is the writer.

        Returns how many, and the ids of those that failed instead, since DEATHS processes died at them.
        """
        died = "coalesce(json_extract(outcome, '$.deaths'), 0) + 1"
        with self._database.changing() as database:
            noted = f"update jobs set outcome = json_set(outcome, '$.deaths', {died}) where state = ?"
            database.execute(noted, (RUNNING,))
            deadly = "state = ? and json_extract(outcome, '$.deaths') >= ?"
            failed = database.execute(
                f"select id, kind from jobs where {deadly}", (RUNNING, DEATHS)
            ).fetchall()
            end = f"update jobs set state = ?, ended = ?, outcome = ? where {deadly}"
            text = json.dumps(_DEADLY.as_json())
            database.execute(end, (FAILED, time.time(), text, RUNNING, DEATHS))
            again = database.execute("update jobs set state = ? where state = ?", (QUEUED, RUNNING)).rowcount
        for row in failed:
            metrics.bound(metrics.JOBS_ENDED, self.name, row["kind"], FAILED).inc()
        return again, [row["id"] for row in failed]

    def jobs(self, request_id: str = "", limit: int = 100) -> list[Job]:
        """Return jobs, newest first; only the one of that id, if one is given."""
        where, values = ("where id = ?", [request_id]) if request_id else ("", [])
        query = f"select * from jobs {where} order by number desc limit ?"
        with self._database.reading() as database:
            return [self._job(row) for row in database.execute(query, [*values, limit]).fetchall()]

    def _row(self, database: sqlite3.Connection, name: str) -> Any:
        return database.execute("select * from jobs where id = ?", (name,)).fetchone()

    def _job(self, row: Any) -> Job:
        return job_of(row, self.name, json.loads(row["outcome"]), self._details.get(row["number"], ""))
