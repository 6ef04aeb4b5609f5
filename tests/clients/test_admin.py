"""`spr admin` against a coordinator over brute-force workers and a library whose jobs the test does."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner, Result

from engine.errors import Mismatch
from spr.v1.admin_service_pb2 import Job
from spr.v1.admin_service_pb2_grpc import AdminServiceStub
from spr_cli import admin
from spr_cli.admin_waiting import followed
from tests.engine.asking import TEXT, by_hand
from tests.engine.corpus import Corpus
from tests.engine.library import LibraryOracle, with_library
from tests.engine.oracle import Cluster, cluster
from tests.engine.running import process
from trainer.collection.annotations import JudgedMoment, JudgedQuery, save_queries


@dataclass
class Service:
    workers: Cluster
    library: LibraryOracle
    searches: str
    address: str

    def __call__(self, *words: str) -> Result:
        return CliRunner().invoke(admin.command, [*words, "--address", self.address])

    def next(self) -> Corpus:
        return self.workers.write(Corpus(videos=15, seed=1), activate=False)

    def done(self, job: Job, corpus: Corpus | None = None, **fields: str) -> None:
        """End a job; of one that makes a version this is the current one from then on."""
        if corpus is not None:
            from engine import versions

            job.version = corpus.version
            versions.activate(self.workers.topology.collection, corpus.version)
        for name, value in fields.items():
            setattr(job, name, value)
        job.state = Job.STATE_FAILED if fields else Job.STATE_DONE


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    lectures = Corpus(videos=3, shards=1, name="lectures", prefix="lecture")
    with (
        cluster(tmp_path, others=[lectures]) as workers,
        with_library(workers) as library,
        process(workers, tmp_path) as ready,
    ):
        yield Service(workers, library, ready["address"], ready["admin"])


def lines(result: Result) -> list[list[str]]:
    return [line.split() for line in result.stdout.splitlines()]


def test_versions_are_listed_activated_and_rolled_back(service: Service) -> None:
    first, second = service.workers.corpus.version, service.next().version
    shown = service("versions")
    rows = lines(shown)[1:]
    assert [row[:3] for row in rows] == [["2", second, "add"], ["1", first, "build"]]
    assert shown.stdout.splitlines()[2].endswith("active, current")

    assert service("activate", "2").stdout.startswith(f"version {second} is active (")
    listed = json.loads(service("versions", "--json").stdout)["versions"]
    assert [(one["active"], one["current"], one["parent"]) for one in listed] == [
        (True, True, first),
        (False, False, ""),
    ]
    assert service("activate", second).stdout == f"version {second} is active, as it was\n"

    back = json.loads(service("rollback", "--json").stdout)
    assert (back["version"], back["previous"]) == (first, second)
    again = service("rollback")
    assert again.exit_code == 2
    assert "was made from no other version" in again.stderr


def test_collections_are_listed_and_named(service: Service) -> None:
    assert [row[0] for row in lines(service("collections"))[1:]] == ["default", "lectures"]
    shown = service("status", "--collection", "lectures")
    assert shown.stdout.startswith("collection 'lectures', version 00000001-")
    assert ": 3 videos, " in shown.stdout
    refused = service("versions", "--collection", "films", "--json")
    assert refused.exit_code == 2
    assert json.loads(refused.stdout)["reason"] == "COLLECTION_NOT_FOUND"


def test_status_shows_the_library_and_each_workers_version(service: Service) -> None:
    shown = service("status")
    assert shown.exit_code == 0, shown.stdout
    rows = {row[0]: row for row in lines(shown) if row}
    assert rows["shard-00000"][2:5] == ["serving", "1", "6"]
    assert rows["library"][2] == "serving"


def test_a_version_that_nobody_can_prepare_is_refused_with_its_own_code(service: Service) -> None:
    second = service.next().version
    for worker in service.workers.shards[0]:
        worker.refusing[second] = Mismatch("index.faiss is damaged", "GENERATION_CORRUPT")
    refused = service("activate", "2")
    assert refused.exit_code == 3
    assert "index.faiss is damaged" in refused.stderr
    assert "stays active" in refused.stderr
    left = service("activate", "7")
    assert left.exit_code == 2
    assert "has no version '7'; there are: 1, 2" in left.stderr


def test_an_unneeded_wait_prints_the_job(service: Service) -> None:
    shown = service("add", "new.mp4", "--request-id", "mine")
    assert shown.stdout == "job mine: add queued\n"
    assert [row[:3] for row in lines(service("jobs"))[1:]] == [["mine", "add", "queued"]]
    found = json.loads(service("jobs", "--request-id", "mine", "--json").stdout)["jobs"]
    assert (found[0]["kind"], found[0]["state"]) == ("add", "STATE_QUEUED")


WORK = {
    "delete": ["delete", "video-001", "--purge"],
    "compact": ["compact"],
    "snapshot": ["snapshot", "copy"],
    "restore": ["restore", "s3://bucket/copy", "--version", "3"],
    "verify": ["verify"],
    "collect_garbage": ["gc", "--keep", "3"],
}


def test_each_kind_of_work_becomes_a_job(service: Service) -> None:
    for kind, words in WORK.items():
        job = json.loads(service(*words, "--json").stdout)
        assert (job["kind"], job["state"], job["collection"]) == (kind, "STATE_QUEUED", "default")


def test_waiting_ends_when_the_videos_can_be_searched(service: Service) -> None:
    def work() -> None:
        while not service.library.jobs:
            time.sleep(0.01)
        job = service.library.jobs[0]
        job.state, job.detail = Job.STATE_RUNNING, "encoding new.mp4, 40 %"
        job.warnings.append("other.mp4 is no video")
        told.wait(60)
        service.done(job, service.next())

    told = threading.Event()
    worker = threading.Thread(target=work)
    worker.start()
    threading.Timer(0.5, told.set).start()
    shown = service("add", "new.mp4", "--wait")
    worker.join()
    assert shown.exit_code == 0, shown.stderr
    assert "running: encoding new.mp4, 40 %" in shown.stderr
    version = service.workers.topology.collection.joinpath("CURRENT").read_text().strip()
    assert shown.stdout.splitlines()[0] == f"job made: add searchable, version {version}"
    assert shown.stdout.splitlines()[-1] == "warning: other.mp4 is no video"
    assert version in service("status").stdout


def test_a_job_that_fails_and_one_that_takes_too_long_have_their_codes(service: Service) -> None:
    late = service("verify", "--wait", "--timeout", "0.1")
    assert late.exit_code == 4
    assert "it goes on: `spr admin jobs --request-id made`" in late.stderr
    service.done(service.library.jobs[0], error="part 1 is damaged; restore it", reason="GENERATION_CORRUPT")
    service.library.jobs[0].request_id = "bad"
    shown = service("jobs", "--request-id", "bad")
    assert "part 1 is damaged; restore it" in shown.stdout


def judged(path: Path, corpus: Corpus) -> Path:
    """Write a sentence whose best answer is the corpus's own."""
    video, start, end = by_hand(corpus, TEXT)[0]
    save_queries(path, [JudgedQuery(1, TEXT, (JudgedMoment(1, video, start, end, 9.0, TEXT, 1.0, 4.0),))])
    return path


def test_a_gate_lets_pass_what_is_no_worse_and_refuses_what_is(service: Service, tmp_path: Path) -> None:
    first, second = service.workers.corpus, service.next()
    gate = ["--searches", service.searches, "--json"]
    worse = service("activate", "2", "--gate", str(judged(tmp_path / "first.json", first)), *gate)
    assert worse.exit_code == 3
    refused = json.loads(worse.stdout)
    assert refused["reason"] == "GATE_REFUSED"
    assert "would change by -0." in refused["error"]
    assert f"-0.0100 is the least allowed; version {first.version} stays" in refused["error"]
    assert first.version in service("status").stdout.splitlines()[0]

    other = JudgedQuery(1, TEXT, (JudgedMoment(1, "elsewhere", 0.0, 9.0, 9.0, TEXT, 1.0, 4.0),))
    save_queries(tmp_path / "other.json", [other])
    nothing = service("activate", "2", "--gate", str(tmp_path / "other.json"), *gate)
    assert (nothing.exit_code, json.loads(nothing.stdout)["reason"]) == (3, "GATE_REFUSED")

    better = service("activate", "2", "--gate", str(judged(tmp_path / "second.json", second)), *gate)
    assert better.exit_code == 0, better.stderr
    told = json.loads(better.stdout)
    assert (told["version"], told["gate"]["after"]) == (second.version, 1.0)
    assert second.version in service("status").stdout.splitlines()[0]


def test_ctrl_c_ends_the_waiting_and_says_that_the_job_goes_on(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("spr_cli.admin_waiting._looked", interrupted)
    shown = service("verify", "--wait", "--request-id", "mine")
    assert shown.exit_code == 130
    assert "job mine goes on: `spr admin jobs --request-id mine`" in shown.stderr


def test_a_number_of_versions_to_keep_is_never_taken_for_another(service: Service) -> None:
    assert service("gc", "--keep", "0").exit_code == 2
    assert not service.library.jobs


def test_waiting_says_why_what_is_done_is_not_searched(capsys: pytest.CaptureFixture[str]) -> None:
    job = Job(request_id="j", kind="restore", state=Job.STATE_DONE, version="2")
    job.warnings.append("not searched: index.faiss is damaged")
    with pytest.raises(SystemExit):
        followed(AdminServiceStub(grpc.insecure_channel("127.0.0.1:1")), job, 0.0, as_json=False)
    assert "after 0 s (done: not searched: index.faiss is damaged)" in capsys.readouterr().err
    job.warnings[:] = ["b.mp4: it has no pictures"]
    with pytest.raises(SystemExit):
        followed(AdminServiceStub(grpc.insecure_channel("127.0.0.1:1")), job, 0.0, as_json=False)
    assert "after 0 s (done)" in capsys.readouterr().err
