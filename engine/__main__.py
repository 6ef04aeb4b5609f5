"""The coordinator process: `python -m engine --config topology.toml`."""

import dataclasses
import sys

import uvloop

from engine import control_pipe, serving
from engine.collection import open_collection
from engine.config import CoordinatorConfig, Topology
from engine.coordinator import Coordinator


def serve(topology: Topology, config: CoordinatorConfig) -> None:
    """Serve the topology's collection until told to stop."""
    uvloop.run(_serve(dataclasses.replace(topology, coordinator=config)))


async def _serve(topology: Topology) -> None:
    collection = open_collection(topology)
    stopped = await serving.told_to_stop()
    coordinator = Coordinator(topology, collection, lambda healthy: serving.announce(healthy=healthy))
    await coordinator.start(serving.beat if control_pipe.supervised else lambda _: None)
    serving.keep_loaded()
    serving.announce(
        ready=True,
        role="coordinator",
        address=coordinator.address,
        admin=coordinator.admin_address,
        collection=collection.name,
        generation=collection.manifest.id,
        videos=collection.manifest.videos,
    )
    await stopped()
    await coordinator.stop()


if __name__ == "__main__":
    sys.exit(serving.main("coordinator", serve))
