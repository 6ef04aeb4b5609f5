"""Which stages there are, in the order they run and are reported."""

import importlib
import time
from typing import Any

from bench.results import Outcome, Setup, to_json
from engine.errors import InvalidInput

# name: (module, what it measures, threads; 0: as many as the run is told)
STAGES = {
    "floor": ("floor", "memory read bandwidth", 1),
    "proposals": ("proposals", "hits to proposals", 1),
    "ndcg": ("ndcg", "evaluation of one query", 1),
    "index": ("index", "top-200 of the published corpus", 1),
    "peers": ("peers", "top-200 of the published corpus by other libraries", 1),
    "words": ("words", "top-200 by the words of what is said", 1),
    "rank": ("rank", "ranking against stored contexts", 0),
    "contexts": ("contexts", "encoding an hour of video for the ranker", 0),
    "encode": ("encode", "encoding a query", 0),
    "ingest": ("ingest", "video files to features", 0),
    "search": ("search", "whole searches over gRPC", 0),
    "load": ("load", "throughput and p99 against concurrent clients", 1),
    "overload": ("overload", "goodput beyond the peak's load", 1),
    "living": ("living", "versions, parts and restarts", 1),
    "scale": ("scale", "cost against the size of the corpus", 1),
}


def threads_of(stage: str, asked: int) -> int:
    """Return how many threads a stage computes with."""
    return STAGES[stage][2] or asked


def check(stages: tuple[str, ...]) -> list[str]:
    """Return the stages to run, all when none is named, in their order; InvalidInput for an unknown one."""
    unknown = [stage for stage in stages if stage not in STAGES]
    if unknown:
        raise InvalidInput(f"stage {unknown[0]!r} is not known; there are {', '.join(STAGES)}")
    return [stage for stage in STAGES if not stages or stage in stages]


def run_here(stage: str, setup: Setup) -> dict[str, Any]:
    """Run one stage in this process and return its part of the report."""
    began = time.perf_counter()
    module = importlib.import_module(f"bench.stages.{STAGES[stage][0]}")
    outcome: Outcome = module.run(setup)
    about = {"threads": setup.threads, "seconds": round(time.perf_counter() - began, 1)}
    return {**about, **to_json(outcome)}
