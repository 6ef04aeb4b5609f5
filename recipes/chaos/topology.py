"""Topologies of the service under test, on free ports of this machine."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.service import free_ports


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How many processes. private: each on a copy of the collection of its own, as on a machine of its own.

    sentences: that the coordinator remembers the vectors of; 0: every search needs an encoder.
    """

    shards: int = 2
    replicas: int = 2
    rankers: int = 2
    coordinators: int = 1
    sentences: int = 0
    private: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A process of a topology. admin: a coordinator's second port. shard: an index worker's."""

    role: str
    name: str
    listen: str
    admin: str = ""
    shard: int = 0

    def lines(self) -> Iterator[str]:
        """Yield what its table says beside `listen`."""
        if self.role == "coordinator":
            yield f'admin = "{self.admin}"'
        elif self.role == "index":
            yield f"shard = {self.shard}"
        elif self.role == "ranker":
            # As the oracle computes: int8, or another number of threads, rounds otherwise.
            yield from ("threads = 1", 'device = "cpu"', 'text_precision = "float32"')
        else:
            yield from ('device = "cpu"', "keep = 100000")


def parts(setup: Setup) -> list[Part]:
    """Return the processes of a setup, on free ports."""
    index, coordinators = setup.shards * setup.replicas, setup.coordinators
    ports = iter(f"127.0.0.1:{port}" for port in free_ports(2 * coordinators + index + setup.rankers + 1))
    made = [Part("coordinator", "coordinator", next(ports), next(ports)) for _ in range(coordinators)]
    for shard in (shard for shard in range(setup.shards) for _ in range(setup.replicas)):
        made.append(Part("index", f"shard-{shard:05d}", next(ports), shard=shard))
    made += [Part("ranker", f"ranker-{number}", next(ports)) for number in range(setup.rankers)]
    return [*made, Part("library", "library", next(ports))]


def write(path: Path, collection: Path, processes: list[Part], coordinator: dict[str, Any]) -> Path:
    """Write the topology of these processes. coordinator: settings of every coordinator."""
    fronts = sum(part.role == "coordinator" for part in processes)
    lines = [f"collection = {json.dumps(str(collection.resolve()))}"]
    for part in processes:
        several = part.role in ("index", "ranker") or (part.role == "coordinator" and fronts > 1)
        lines += [f"[[{part.role}]]" if several else f"[{part.role}]", f'listen = "{part.listen}"']
        lines += part.lines()
        if part.role == "coordinator":
            lines += [f"{name} = {json.dumps(value)}" for name, value in coordinator.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
