"""Run the stages, one process after another, and put their figures into one report."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import registry
from bench.results import FORMAT, RUN, machine
from bench.sizes import Sizes
from engine.files import write_json

Progress = Callable[[str, float], None]


def run(
    stages: Sequence[str], sizes: Sizes, cache: Path, threads: int, progress: Progress = lambda *_: None
) -> dict[str, Any]:
    """Run the stages and return the report. A stage that fails is named with its reason, and the rest runs.

    progress: called with a stage and 0.0 when it begins, and the seconds it took when it ends.
    """
    report: dict[str, Any] = {
        "format": FORMAT,
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "sizes": sizes.name,
        "machine": machine(),
        "stages": {},
    }
    # What a stage has built, the next ones of the run use.
    own = f"{time.time_ns()}-{os.getpid()}"
    for stage in stages:
        progress(stage, 0.0)
        began = time.monotonic()
        count = registry.threads_of(stage, threads)
        report["stages"][stage] = _child(stage, sizes, cache, count, own) or {
            "threads": count,
            "seconds": round(time.monotonic() - began, 1),
            "rows": [],
            "notes": ["The stage failed; its messages are on stderr."],
        }
        progress(stage, time.monotonic() - began)
    return report


def save(report: dict[str, Any], out: Path) -> None:
    """Write bench.json, plots and stages.md into `out`, and beside it OUT.md, the page that shows them."""
    from bench import plots
    from bench.page import page, stages_page

    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "bench.json", report)
    plots.draw(report, out)
    (out / "stages.md").write_text(stages_page(report), encoding="utf-8")
    out.with_name(f"{out.name}.md").write_text(page(report, f"{out.name}/"), encoding="utf-8")


def _child(stage: str, sizes: Sizes, cache: Path, threads: int, own: str) -> dict[str, Any] | None:
    command = [sys.executable, "-m", "bench", stage]
    command += ["--sizes", sizes.name, "--cache", str(cache), "--threads", str(threads)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "NUMBA_NUM_THREADS": str(max(threads, 1))}
    environment[RUN] = own
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=False)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return None
    answer: dict[str, Any] = json.loads(lines[-1])
    return answer
