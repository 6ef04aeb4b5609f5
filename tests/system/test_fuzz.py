"""No request is a defect of ours, whatever it holds: all methods of all processes of a real service."""

from pathlib import Path

from engine import config
from spr_client import Client
from tests.system.fuzz import Outcome, fuzz, ports_of
from tests.system.service import alive, running, write_topology
from tests.workers.ranker.factories import TEXTS

REQUESTS, SEED = 600, 7


def outcome_of(collection: Path, folder: Path, count: int, seed: int) -> Outcome:
    """Serve a collection and fuzz it; every control search in between must be right, and no process dead."""
    topology = write_topology(folder / "topology.toml", collection)
    with running(folder / "log.jsonl", str(topology)) as service, Client(service.address) as client:
        first = client.search(TEXTS[0]).moments

        def control() -> None:
            assert client.search(TEXTS[0]).moments == first
            assert all(alive(pid) for pid in service.ready["pids"].values())

        with ports_of(config.read(topology)) as ports:
            outcome = fuzz(ports, count, seed, control)
        # A traceback is a defect that nobody was told of.
        outcome.defects += [line for line in service.log.read_text().splitlines() if "Traceback" in line]
    return outcome


def test_requests_of_all_kinds(collection: Path, tmp_path: Path) -> None:
    outcome = outcome_of(collection, tmp_path, REQUESTS, SEED)
    assert not outcome.defects
    assert outcome.codes["OK"] > REQUESTS / 10
    assert outcome.codes["INVALID_ARGUMENT"] > REQUESTS / 10
