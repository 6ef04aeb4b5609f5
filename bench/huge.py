"""A corpus beyond memory, on this machine: `python -m bench huge --segments 10000000 --out DIR`.

Vectors of the published shape are generated, built as two shards, opened by two index workers of one thread
and asked over gRPC, both at once, as a coordinator asks them; the published size first, to compare with. Ten
million segments of 768 take 32 GB in DIR. A corpus that is there is taken as it is; what was built is not.
"""

import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from bench import sizes
from bench.cold import forget
from bench.huge_build import Built, build, merged
from bench.huge_corpus import SHARDS, Huge, generate
from bench.indexes import DEPTH
from bench.stages.floor import bytes_ms
from bench.timing import Laps
from engine import wire
from engine.config import shard_name
from engine.entries import Version
from engine.errors import Unavailable
from engine.merge import top_k
from engine.types import Floats, Hits
from spr.internal.v1.index_shard_service_pb2 import SearchSegmentsRequest
from spr.internal.v1.index_shard_service_pb2_grpc import IndexShardServiceStub
from spr.v1.types_pb2 import Embedding
from workers.index.part import DIRECTORY, ORIGINALS
from workers.watch import FIRST_RATE

PUBLISHED = 383_828
_ROUNDS = 4


def run(segments: int, dim: int, out: Path) -> Iterator[dict[str, Any]]:
    """Yield the figures of the published size, of `segments`, and what the larger costs more."""
    found = []
    for size in dict.fromkeys((min(PUBLISHED, segments), segments)):
        found.append(_measured(size, dim, out))
        yield found[-1]
    if len(found) > 1:
        yield {"latency of the larger over the smaller": round(found[1]["p50_ms"] / found[0]["p50_ms"], 2)}


def _measured(segments: int, dim: int, out: Path) -> dict[str, Any]:
    began = time.perf_counter()
    corpus = generate(out / f"corpus-{segments}x{dim}", segments, dim)
    generated = time.perf_counter() - began
    folder = out / f"collection-{segments}x{dim}"
    shutil.rmtree(folder, ignore_errors=True)
    built = build(folder, corpus)
    forget(corpus.path)
    paths = list(folder.glob(f"parts/*/{DIRECTORY}/{ORIGINALS}"))
    for path in paths:
        forget(path)
    with _workers(folder) as service:
        cold = _asked(service, built.version, corpus, 1)
    for path in paths:
        # What a machine has that has served these files before.
        subprocess.run(["cat", str(path)], stdout=subprocess.DEVNULL, check=True)
    with _workers(folder) as service:
        first = _asked(service, built.version, corpus, 1)
        # Large originals are being hashed.
        time.sleep(max((path.stat().st_size for path in paths), default=0) / FIRST_RATE + 5)
        warm = _asked(service, built.version, corpus, _ROUNDS)
        resident = [_resident(process.pid) for process in service.processes]
    _, held_out = corpus.asked.halves()
    return {
        "segments": segments,
        "index": corpus.made.label,
        "effort": f"factor {built.effort.factor}, nprobe {built.effort.nprobe}",
        "p50_ms": round(warm.laps.median, 2),
        "p99_ms": round(warm.laps.share(0.99), 2),
        "recall@200": round(held_out.recall(merged(corpus, warm.found)[1::2], DEPTH), 4),
        "floor_ms": round(_floor_ms(corpus, built), 2),
        "resident_gb": round(sum(total for total, _ in resident) / 1e9, 2),
        "of which anonymous_gb": round(sum(own for _, own in resident) / 1e9, 2),
        "opened_s": round(service.opened, 2),
        "built_s": round(built.seconds, 1),
        "build_peak_gb": round(built.peak_gb, 2),
        "first p99_ms": round(first.laps.share(0.99), 2),
        "first p99_ms, nothing cached": round(cold.laps.share(0.99), 2),
        "generated_s": round(generated, 1),
    }


def _floor_ms(corpus: Huge, built: Built) -> float:
    """Return the milliseconds that reading visited codes and candidates takes, on a thread a shard."""
    share = built.effort.nprobe / max(1, corpus.made.partitions) or 1.0
    rows = corpus.counts.sum() / SHARDS
    candidates = built.effort.factor * DEPTH * 2 * corpus.dim
    return bytes_ms(SHARDS * (share * rows * corpus.dim / 8 + candidates), SHARDS, sizes.FULL)


@dataclass(frozen=True, slots=True)
class _Service:
    """opened: seconds from the start of the processes until both serve."""

    processes: list["subprocess.Popen[str]"]
    addresses: list[str]
    opened: float


@contextlib.contextmanager
def _workers(folder: Path) -> Iterator[_Service]:
    topology = folder / "topology.toml"
    shards = "".join(
        f'[[index]]\nshard = {n}\nlisten = "127.0.0.1:0"\ndevice = "cpu"\nthreads = 1\n'
        for n in range(SHARDS)
    )
    topology.write_text(f'collection = "."\n{shards}[[ranker]]\nlisten = "127.0.0.1:0"\n', encoding="utf-8")
    began = time.perf_counter()
    with contextlib.ExitStack() as stack:
        processes = []
        for number in range(SHARDS):
            command = [sys.executable, "-m", "workers.index", "--config", str(topology)]
            log = stack.enter_context((folder / f"worker-{number}.log").open("w"))
            process = subprocess.Popen(
                [*command, "--name", shard_name(number)], stdout=subprocess.PIPE, stderr=log, text=True
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            processes.append(process)
        yield _Service(
            processes, [_address(process, folder) for process in processes], time.perf_counter() - began
        )


def _address(process: "subprocess.Popen[str]", folder: Path) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise Unavailable(f"an index worker did not start; {folder}/worker-*.log say why.")
    return str(json.loads(line)["address"])


@dataclass(frozen=True, slots=True)
class _Answers:
    """laps: of every query. found: of each shard the hits of every query, in the last round."""

    laps: Laps
    found: list[list[Hits]]


def _asked(service: _Service, version: Version, corpus: Huge, rounds: int) -> _Answers:
    """Ask both workers every query, one after the other, and merge; as often as `rounds`."""
    options = [("grpc.max_receive_message_length", 64 << 20)]
    with contextlib.ExitStack() as stack:
        channels = [stack.enter_context(grpc.insecure_channel(one, options)) for one in service.addresses]
        stubs: list[Any] = [IndexShardServiceStub(channel) for channel in channels]
        for channel in channels:
            grpc.channel_ready_future(channel).result(60)
        laps: list[float] = []
        for _ in range(rounds):
            found: list[list[Hits]] = [[] for _ in stubs]
            for query in corpus.asked.queries:
                began = time.perf_counter()
                calls = [
                    stub.SearchSegments.future(_request(version, number, query), timeout=120)
                    for number, stub in enumerate(stubs)
                ]
                hits = [wire.hits_from_pb(call.result(), version.videos)[0] for call in calls]
                top_k(hits, DEPTH)
                laps.append(1000 * (time.perf_counter() - began))
                for one, other in zip(found, hits, strict=True):
                    one.append(other)
    return _Answers(Laps(tuple(sorted(laps))), found)


def _request(version: Version, number: int, query: Floats) -> SearchSegmentsRequest:
    vectors = Embedding(tensor=wire.tensor_to_pb(query[None]), model_id=version.embedding_model)
    return SearchSegmentsRequest(
        shard=shard_name(number), generation=version.id, queries=vectors, top_k=DEPTH
    )


def _resident(process: int) -> tuple[int, int]:
    """Return the resident bytes of a process, and those that are no page of a file."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    found = {line.split(":")[0]: line.split(":")[1] for line in lines}
    total, own = (1024 * int(found[name].split()[0]) for name in ("VmRSS", "RssAnon"))
    return total, own
