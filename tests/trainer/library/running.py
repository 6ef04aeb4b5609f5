"""A real library process over a collection of real clips and a tiny encoder."""

import json
import time
from collections.abc import Callable
from fractions import Fraction
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import grpc

from bench.service import free_ports
from spr.internal.v1 import library_service_pb2 as pb
from spr.internal.v1.library_service_pb2_grpc import LibraryServiceStub
from spr.v1.admin_service_pb2 import Job, ListJobsRequest, SubmitJobRequest
from tests import apart
from tests.trainer.ingest.factories import regular, write_video
from tests.workers.ranker.factories import tiny_clip
from trainer.collection.places import keep_encoder
from trainer.generation.build import BuildConfig, build
from trainer.ingest.options import IngestOptions
from trainer.ingest.pipeline import ingest
from trainer.library import process
from workers.ranker.encoder.encoder import Encoder

ENDED = (Job.STATE_DONE, Job.STATE_FAILED)


def clip(path: Path, seconds: float = 6.0) -> Path:
    return write_video(path, regular(seconds, 5))


def world(path: Path, name: str = "c") -> Path:
    """Build a collection of two clips; return its directory, which lies beside `videos`."""
    collection, videos = path / name, path / "videos"
    for number in range(2):
        clip(videos / f"built-{number}.mp4", 5.0 + number)
    source = tiny_clip(path / "encoder")
    encoder = Encoder.load(str(source), "cpu")
    options = IngestOptions(fps=Fraction(1), edge=16, settings="cpu auto")
    ingest([videos], collection, encoder, options, lambda *_: None)
    keep_encoder(collection, source, encoder.fingerprint, str(source))
    build(BuildConfig(collection=collection, shards=2, device="cpu"))
    return collection


class Library:
    """The process; its life may be ended and begun again."""

    def __init__(self, collection: Path, file: str = "topology.toml", **settings: Any) -> None:
        ports = free_ports(6)
        self.collection, self.address = collection, f"127.0.0.1:{ports[0]}"
        lines = [f"collection = {json.dumps(str(collection))}", "[coordinator]"]
        lines += [f'listen = "127.0.0.1:{ports[1]}"', f'admin = "127.0.0.1:{ports[2]}"']
        for shard in range(2):
            lines += ["[[index]]", f"shard = {shard}", f'listen = "127.0.0.1:{ports[3 + shard]}"']
        lines += ["[[ranker]]", f'listen = "127.0.0.1:{ports[5]}"']
        lines += ["[library]", f'listen = "{self.address}"', 'device = "cpu"']
        lines += [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        self.topology = collection.parent / file
        self.topology.write_text("\n".join(lines))
        self.process: BaseProcess | None = None

    def start(self) -> dict[str, Any]:
        """Begin a life; return its first line."""
        given = ("--config", str(self.topology))
        self.process, line = apart.serving(self.collection.parent, process.main, *given)
        if line["ready"]:
            self.channel = grpc.insecure_channel(self.address)
            self.stub = LibraryServiceStub(self.channel)
        return line

    def end(self, how: Callable[[BaseProcess], None]) -> int:
        """End this life by a signal; return the exit code."""
        assert self.process is not None
        how(self.process)
        code = apart.ended(self.process)
        self.channel.close()
        return code

    def submit(self, **fields: Any) -> Job:
        return self.stub.Submit(pb.SubmitRequest(job=SubmitJobRequest(**fields)), timeout=60).job

    def jobs(self) -> dict[str, Job]:
        listed = self.stub.List(pb.ListRequest(jobs=ListJobsRequest(page_size=1000)), timeout=60).jobs
        return {job.request_id: job for job in listed}

    def ended(self, *names: str, seconds: float = 120.0) -> list[Job]:
        """Wait until jobs have ended, and return them."""
        ends = time.monotonic() + seconds
        while True:
            jobs = self.jobs()
            if all(jobs[name].state in ENDED for name in names):
                return [jobs[name] for name in names]
            assert time.monotonic() < ends, f"they did not end in time: {jobs}"
            time.sleep(0.02)
