"""Driver and workers of an ingest in threads: what they make is what one run makes, though workers die."""

import dataclasses
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import grpc
import pytest
import torch
from click.testing import CliRunner

from engine.errors import NotFound, SprError, Unavailable
from spr_cli.ingest import command
from tests.trainer.ingest.same import check_same, opened
from tests.trainer.ingest.test_shares import check_told, flat, world
from tests.trainer.spread.threads import Threads
from tests.workers.ranker.factories import tiny_clip
from trainer.ingest.opening import check
from trainer.ingest.options import IngestOptions
from trainer.ingest.pipeline import ingest
from trainer.ingest.scan import Survey
from trainer.ingest.summary import Summary
from trainer.spread import ingest as driving
from trainer.spread.crew import ASKED, Crew, address_of
from trainer.spread.ingest import ingest_spread
from trainer.spread.worker import IngestTask, IngestWorker
from workers.ranker.encoder.encoder import Encoder

OPTIONS = IngestOptions(batch_size=8, apart=False, readers=1)


@pytest.fixture(autouse=True)
def in_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    monkeypatch.setattr(driving, "Crew", Threads)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    folder = tmp_path_factory.mktemp("encoder")
    tiny_clip(folder)
    return Encoder.load(str(folder), "cpu", "float32")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> tuple[Path, Path, Summary]:
    """The videos, a collection by one run, what it told."""
    root = tmp_path_factory.mktemp("spread")
    videos = world(root)
    return videos, root / "c", here(videos, root / "c", encoder)


def here(videos: Path, collection: Path, encoder: Encoder, options: IngestOptions = OPTIONS) -> Summary:
    chosen = dataclasses.replace(options, edge=encoder.frame_edge)
    return ingest([videos], collection, encoder, chosen, lambda *_: None)


def spread(videos: Path, collection: Path, encoder: Encoder, options: IngestOptions = OPTIONS) -> Summary:
    task = IngestTask(collection, encoder.name, encoder.fingerprint, "cpu", "float32", options)
    find = partial(check, [videos], collection, options.fps)
    return ingest_spread([videos], task, "local", encoder.name, lambda *_: None, find)


@pytest.mark.parametrize(("kill", "gone"), [(0, False), (1, False), (3, True)])
def test_it_ends_as_one_run_whenever_a_worker_dies(
    made: tuple[Path, Path, Summary],
    encoder: Encoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kill: int,
    gone: bool,
) -> None:
    videos, whole, told = made
    monkeypatch.setattr(Threads, "kill", kill)
    monkeypatch.setattr(Threads, "gone", gone)
    summary = spread(videos, tmp_path / "c", encoder)
    check_same(tmp_path / "c", whole)
    # What a worker stored and did not tell is found stored.
    assert summary.ingested + summary.skipped == told.ingested
    assert [(f.path, f.kind) for f in summary.failed] == [(f.path, f.kind) for f in told.failed]
    if not kill:
        check_told([summary], told)
        assert summary.skipped == 0


def test_moves_changes_and_what_is_gone_are_as_with_one_run(tmp_path: Path, encoder: Encoder) -> None:
    videos = world(tmp_path)

    def both(options: IngestOptions = OPTIONS) -> None:
        whole = here(videos, tmp_path / "one", encoder, options)
        check_told([spread(videos, tmp_path / "spread", encoder, options)], whole)
        check_same(tmp_path / "spread", tmp_path / "one")

    both()
    (videos / "b").rename(videos / "renamed")
    (videos / "d" / "u.mp4").rename(videos / "e.mp4")
    flat(videos / "w.mp4", 1.8)
    (videos / "a" / "x.json").write_text('{"labels": ["blue"]}')
    (videos / "copy.mp4").unlink()
    both()
    (videos / "w.mp4").unlink()
    both(dataclasses.replace(OPTIONS, forget=("w",)))
    assert opened(tmp_path / "spread").ids() == ["a/x", "c/x", "e", "renamed/x", "y"]


def test_another_encoder_on_a_node_is_refused(tmp_path: Path, encoder: Encoder) -> None:
    videos = flat(tmp_path / "videos" / "a.mp4", 1).parent
    task = IngestTask(tmp_path / "c", encoder.name, "f" * 16, "cpu", "float32", OPTIONS)
    find = partial(check, [videos], tmp_path / "c", OPTIONS.fps)
    with pytest.raises(SprError, match="on a node, and ffffffffffffffff where the ingest began"):
        ingest_spread([videos], task, "local", encoder.name, lambda *_: None, find)


def test_workers_load_while_files_are_listed(
    tmp_path: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = threading.Event()
    monkeypatch.setattr(IngestWorker, "load", lambda worker: loaded.set())
    task = IngestTask(tmp_path / "c", encoder.name, encoder.fingerprint, "cpu", "float32", OPTIONS)

    def find() -> Survey:
        assert loaded.wait(60)
        return check([flat(tmp_path / "videos" / "a.mp4", 1).parent], tmp_path / "c", OPTIONS.fps)

    assert ingest_spread([], task, "local", encoder.name, lambda *_: None, find).ingested == 1


def test_where_there_is_no_video_nothing_is_started(
    tmp_path: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driving, "Crew", None)
    with pytest.raises(NotFound, match="there is no video in"):
        spread(tmp_path, tmp_path / "c", encoder)


def test_a_driver_loads_no_torch() -> None:
    code = "import sys, trainer.spread.ingest, trainer.progress; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_engines_are_named_and_ray_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [address_of(name) for name in ("local", "ray", "ray:auto", "ray:10.0.0.1:6379")] == [
        None, "local", "auto", "10.0.0.1:6379"]  # fmt: skip
    with pytest.raises(SprError, match="--engine spark is none: write local, ray"):
        address_of("spark")
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(
        Unavailable, match=r"needs Ray, which is not installed: pip install 'spr-engine\[ray\]'"
    ):
        Crew("local", IngestWorker)


def test_a_cluster_that_does_not_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(Unavailable, match=r"no Ray cluster answers at 127.0.0.1:1, or it asks for a token"):
        Crew("127.0.0.1:1", IngestWorker).__enter__()

    def late(*_: object, **__: object) -> None:
        raise ray.exceptions.RpcError("Timed out while waiting for GCS\n to become available.")

    monkeypatch.setattr(ray, "init", late)
    with pytest.raises(Unavailable, match=r"^Ray does not start on this machine \(Timed out while waiting"):
        Crew("local", IngestWorker).__enter__()


@pytest.mark.parametrize("code", ["OK", "UNAUTHENTICATED"])
def test_a_named_cluster_that_asks_for_a_token_is_shown_one(
    monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    pytest.importorskip("ray")

    def answer(_: bytes, context: grpc.ServicerContext) -> bytes:
        context.set_code(grpc.StatusCode[code])
        return b""

    server = grpc.server(ThreadPoolExecutor(1))
    method: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        ASKED.rpartition("/")[2]: grpc.unary_unary_rpc_method_handler(answer)
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(ASKED.split("/")[1], method)])
    head = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()

    def mode(address: str) -> str | None:
        Crew(address, IngestWorker)
        return os.environ.pop("RAY_AUTH_MODE", None)

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert mode(head) == "disabled"
    assert [mode(address) for address in (head, "local", "auto")] == [
        "token" if code == "UNAUTHENTICATED" else None, None, None]  # fmt: skip
    server.stop(None)


@pytest.mark.parametrize("more", [["--part", "0/2"], ["--watch"]])
def test_a_spread_ingest_is_neither_a_part_nor_goes_on(tmp_path: Path, more: list[str]) -> None:
    given = [str(tmp_path), "--collection", str(tmp_path / "c"), "--engine", "ray", *more]
    refused = CliRunner().invoke(command, given)
    assert (refused.exit_code, "go alone: give one of them" in refused.stderr) == (2, True)
