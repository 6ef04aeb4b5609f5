"""The coordinator process: `python -m engine --config topology.toml`."""

import dataclasses
import sys

import uvloop

from engine import control_pipe, serving
from engine.config import CoordinatorConfig, Topology
from engine.coordinator import Coordinator


def serve(topology: Topology, config: CoordinatorConfig) -> None:
    """Serve the topology's collections until told to stop."""
    uvloop.run(_serve(dataclasses.replace(topology, coordinator=config)))


async def _serve(topology: Topology) -> None:
    stopped = await serving.told_to_stop()
    coordinator = Coordinator(topology, lambda healthy: serving.announce(healthy=healthy))
    await coordinator.start(serving.beat if control_pipe.supervised else lambda *_: None)
    serving.keep_loaded()
    active = coordinator.collections.first.active
    assert active is not None
    version = active.corpus.version
    serving.announce(
        ready=True,
        role="coordinator",
        address=coordinator.address,
        admin=coordinator.admin_address,
        collection=version.collection,
        generation=version.id,
        number=version.number,
        videos=version.videos,
        **({"metrics": topology.coordinator.metrics} if topology.coordinator.metrics else {}),
        collections=[collection.name for collection in coordinator.collections.all],
    )
    await stopped()
    await coordinator.stop()


if __name__ == "__main__":
    sys.exit(serving.main("coordinator", serve))
