"""`spr corpus render`: a world of real MP4 files with captions and judged queries."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spr_cli.options import Output

if TYPE_CHECKING:
    from trainer.world.build import Finished


@click.command()
@click.argument("out", type=Output(file_okay=False))
@click.option("--videos", default=120, show_default=True, type=click.IntRange(min=1), help="How many videos.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Which world.")
@click.option(
    "--profile",
    default="plain",
    show_default=True,
    type=click.Choice(["plain", "hard", "texts", "hard-texts"]),
    help="hard: look-alikes, hour-long videos, questions without an answer; texts: text on the screen, "
    "paraphrases, questions, German.",
)
@click.option(
    "--speak",
    "aloud",
    is_flag=True,
    help="Lines as speech, by espeak-ng, in place of subtitles: to transcribe.",
)
@click.option("--workers", default=0, type=click.IntRange(min=0), help="Processes; 0: one a CPU.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def command(
    out: Path, videos: int, seed: int, profile: str, aloud: bool, workers: int, as_json: bool
) -> None:
    """Render a world into OUT: videos with subtitles, captions, judged queries for train, val and test.

    The same seed gives the same bytes, whatever --workers. A run that was stopped goes on where it was:
    finished videos are kept.

    \b
    spr corpus render build/world --videos 20 --seed 7
    spr corpus render build/hard --videos 600 --seed 7 --profile hard-texts
    spr ingest build/world/videos --collection build/c
    """
    import json

    from trainer.world.build import build_world
    from trainer.world.profile import profile_of

    with _RenderProgress() as progress:
        try:
            world = build_world(out, videos, seed, workers, progress.advance, profile_of(profile), aloud)
        except KeyboardInterrupt:
            click.echo("spr: stopped; finished videos are kept, the same command goes on there.", err=True)
            sys.exit(130)
    if as_json:
        rendered = {"rendered": progress.rendered, "render_seconds": round(progress.elapsed, 3)}
        click.echo(json.dumps({"world": str(out), **world, **rendered}))
        return
    splits = ", ".join(f"{len(names)} {split}" for split, names in world["splits"].items())
    queries = ", ".join(f"{count} {split}" for split, count in world["queries"].items())
    minutes, events = world["seconds"] / 60, world["events"]
    click.echo(f"{out}: {videos} videos ({splits}), {minutes:.0f} minutes, {events} events")
    for split, slices in world.get("slices", {}).items():
        if not slices:
            continue
        click.echo(f"{split}: " + ", ".join(f"{count} {name}" for name, count in slices.items()))
    click.echo(f"queries: {queries}; {progress.rendered} videos rendered in {progress.elapsed:.1f} s")


class _RenderProgress:
    """Rate and time left on stderr: a bar on a terminal, a line every ten seconds elsewhere."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("rendering"),
            BarColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
        self._task = self._bar.add_task("rendering", rate="")
        self._start = self._said = time.monotonic()
        self._done = self._made = 0
        self.rendered = 0
        self.elapsed = 0.0

    def __enter__(self) -> _RenderProgress:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()
        self.elapsed = time.monotonic() - self._start

    def advance(self, finished: Finished, total: int) -> None:
        """Count a video; kept ones do not count for the rate."""
        now = time.monotonic()
        self._done += finished.frames
        self._made += finished.frames * finished.rendered
        self.rendered += finished.rendered
        rate = self._made / max(now - self._start, 1e-9)
        words = f"{self._done}/{total} frames, {rate:.0f} frames/s"
        self._bar.update(self._task, total=total, completed=self._done, rate=words)
        if self._bar.disable and now - self._said > 10.0 and rate:
            self._said = now
            click.echo(f"rendering: {words}, {(total - self._done) / rate:.0f} s left", err=True)
