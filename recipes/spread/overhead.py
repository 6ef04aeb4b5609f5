"""An ingest on Ray beside the same one without it, on the same cores, in turn."""

from typing import Any

from recipes.spread.watch import Used, watched
from recipes.spread.work import Work, differences

ENGINES = ("local", "ray")


def overhead(work: Work, rounds: int) -> dict[str, Any]:
    """Return wall and CPU seconds of both, memory, their ratios, and what the collections hold otherwise.

    ray_mb: of Ray's own processes and the whole command that drives them.
    """
    runs: dict[str, list[Used]] = {engine: [] for engine in ENGINES}
    for number in range(rounds):
        for engine in ENGINES if number % 2 == 0 else reversed(ENGINES):
            runs[engine].append(watched(work.command(work.out / f"by-{engine}", engine), work.log))
    wall, cpu = (
        {engine: sum(used.row()[key] for used in found) for engine, found in runs.items()}
        for key in ("wall_s", "cpu_s")
    )
    spread = runs["ray"]
    return {
        "runs": {engine: [used.row() for used in found] for engine, found in runs.items()},
        "wall_ratio": round(wall["ray"] / wall["local"], 3),
        "cpu_ratio": round(cpu["ray"] / cpu["local"], 3),
        "ray_mb": round(max(used.most["ray"] + used.most["driver"] for used in spread) / 1e6),
        "differences": differences(work.out / "by-ray", work.out / "by-local"),
    }
