"""Jobs of several clients while the library is killed at random: none is lost, none is done twice."""

import random
import threading
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import grpc
import pytest

from engine.corpus import open_corpus
from spr.v1.admin_service_pb2 import AddVideos, DeleteVideos, Job
from tests.trainer.library.running import Library, clip, world
from trainer.library.verify import verify

CLIENTS, JOBS, KILLS = 4, 50, 8


class Client(threading.Thread):
    """Adds clips and deletes some of them again; asks again, by the same id, until it is acknowledged."""

    def __init__(self, number: int, library: Library, clips: list[Path]) -> None:
        super().__init__()
        self.number, self.library, self.clips = number, library, clips
        self.kept: set[str] = set()
        self.names: list[str] = []

    def run(self) -> None:
        chosen = random.Random(self.number)
        for job in range(JOBS):
            name = f"{self.number}-{job}"
            if job % 3 == 2:
                gone = chosen.choice(sorted(self.kept))
                self.kept.discard(gone)
                self._submit(name, delete=DeleteVideos(video_ids=[gone]))
            else:
                path = self.clips[job % len(self.clips)]
                self.kept.add(path.stem)
                self._submit(name, add=AddVideos(paths=[str(path)]))
            self.names.append(name)
            time.sleep(chosen.random() * 0.3)

    def _submit(self, name: str, **work: AddVideos | DeleteVideos) -> None:
        while True:
            try:
                self.library.submit(request_id=name, **work)
                return
            except (grpc.RpcError, ValueError):  # it is dead just now
                time.sleep(0.1)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_no_job_is_lost_or_done_twice_however_often_the_library_is_killed(tmp_path: Path) -> None:
    collection = world(tmp_path)
    library = Library(collection, max_queued=1000)
    assert library.start()["ready"]
    clients = []
    for number in range(CLIENTS):
        clips = [clip(tmp_path / "clips" / f"c{number}-{n}.mp4", 2.0 + n) for n in range(12)]
        clients.append(Client(number, library, clips))
    for client in clients:
        client.start()
    chosen = random.Random(0)
    for _ in range(KILLS):
        time.sleep(1 + 4 * chosen.random())
        library.end(BaseProcess.kill)
        assert library.start()["ready"]
    for client in clients:
        client.join()
    names = [name for client in clients for name in client.names]
    jobs = library.ended(*names, seconds=1800)
    assert [job.error for job in jobs if job.state != Job.STATE_DONE] == []
    assert len(names) == CLIENTS * JOBS == len(set(names))
    library.end(BaseProcess.terminate)
    kept = {name for client in clients for name in client.kept}
    assert set(open_corpus(collection).catalogue.ids) == {"built-0", "built-1", *kept}
    assert verify(collection) == []
