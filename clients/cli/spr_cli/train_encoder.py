"""`spr train encoder`: a small CLIP, so that everything works offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spr_cli.options import Number, Output

if TYPE_CHECKING:
    from trainer.runs import Progress


@click.command()
@click.argument("world", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", required=True, type=Output(beside=True), help="Directory to make.")
@click.option(
    "--minutes",
    default=2.0,
    show_default=True,
    type=Number(min=0, min_open=True),
    help="How long on two idle cores. It sets the number of steps, so that results do not hang on the clock.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Seed.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--force", is_flag=True, help="Replace OUT if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def command(
    world: Path, out: Path, minutes: float, seed: int, device: str, force: bool, as_json: bool
) -> None:
    """Train a small CLIP on the train split of a rendered WORLD.

    OUT is a Hugging Face directory (config, safetensors, tokenizer, image processor) that `spr ingest` and
    transformers load. The figures printed are zero-shot ones on the val split, beside what chance reaches.

    \b
    spr train encoder world --out encoder
    spr ingest world/videos --collection c --encoder encoder
    """
    import json

    from trainer.encoder.settings import EncoderSettings, steps_in
    from trainer.encoder.training import train_encoder

    settings = EncoderSettings(steps=steps_in(minutes), seed=seed, device=device)
    with _Phases() as phases:
        summary = train_encoder(world, out, settings, force=force, on_progress=phases)
    if as_json:
        click.echo(json.dumps(summary))
        return
    click.echo(
        f"{out}: encoder {summary['fingerprint']}, {summary['events']} events, {summary['steps']} steps"
    )
    for line in _lines(summary["val"] or {}):
        click.echo(line)
    click.echo(f"{summary['seconds']:.0f} s ({summary['cpu_seconds']:.0f} s of CPU)")


class _Phases:
    """One progress display after another: decoding, then training."""

    def __init__(self) -> None:
        self.phase = ""
        self.shown: Progress | None = None

    def __enter__(self) -> _Phases:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def __call__(self, phase: str, done: int, total: int, note: str) -> None:
        """Say that `done` of `total` are done of a phase."""
        from trainer.runs import Progress

        if phase != self.phase:
            self._close()
            unit = "videos" if phase == "decoding" else "steps"
            self.phase, self.shown = phase, Progress(phase, total, unit=unit).__enter__()
        if self.shown:
            self.shown.update(done, note)

    def _close(self) -> None:
        if self.shown:
            self.shown.__exit__(None, None, None)
        self.shown = None


def _lines(val: dict[str, Any]) -> list[str]:
    """Return the figures as lines; none without a val split."""
    lines = []
    for key, figures in val.get("zero_shot", {}).items():
        lines.append(
            f"{key:10} named for {figures['events']:.1%} of val events (chance {figures['chance']:.1%})"
        )
    for key, name in (("text_to_event", "captions to events"), ("question_to_speech", "questions to speech")):
        if key in val:
            found = val[key]
            recalls = ", ".join(
                f"recall@{k} {found[f'recall@{k}']:.1%} (chance {found[f'chance@{k}']:.1%})" for k in (1, 10)
            )
            lines.append(f"{name}: {recalls}")
    return lines
