"""`spr corpus synthesize-features`: a collection of features at the size of a real corpus."""

from pathlib import Path

import click

from spr_cli.options import Number, Output


@click.command()
@click.argument("out", type=Output(file_okay=False))
@click.option("--like", type=click.Choice(["tvr-ranking"]), default="tvr-ranking", show_default=True)
@click.option(
    "--scale",
    default=1.0,
    show_default=True,
    type=Number(0, 1000, min_open=True),
    help="Share of its videos.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--dim", default=768, show_default=True, type=click.IntRange(1), help="Width of a vector.")
@click.option("--queries", default=500, show_default=True, type=click.IntRange(0), help="Judged sentences.")
@click.option(
    "--durations",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Real names and durations: {video: seconds} or {video: [seconds, id]}.  [default: drawn]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def command(
    out: Path,
    like: str,
    scale: float,
    seed: int,
    dim: int,
    queries: int,
    durations: Path | None,
    as_json: bool,
) -> None:
    """Make a collection OUT of random, clustered features at the size of a corpus, to measure speed on.

    At scale 1: 19,614 videos and 383,828 segments of 4 s, 2.3 GB. It is built, served and evaluated as any
    other collection, with its own queries ("synthetic query 000000" and on). The same options make the same
    features; an interrupted run goes on where it stopped.

    \b
    Examples:
      spr corpus synthesize-features big
      spr corpus synthesize-features small --scale 0.01 --dim 64
      spr build big --index ivfpq
    """
    import json
    from dataclasses import asdict

    from trainer.formats.durations import lengths
    from trainer.formats.splits import told
    from trainer.formats.synthetic import synthesize

    made = synthesize(out, lengths(durations, scale, seed), dim=dim, seed=seed, queries=queries)
    if as_json:
        click.echo(json.dumps(asdict(made)))
        return
    click.echo(
        f"{made.collection}: {made.videos} videos ({made.new_videos} new), {made.segments} segments, "
        f"{made.frames} frames of {made.dim} values, {made.queries} queries"
    )
    for note in told(made.replaced):
        click.echo(f"note: {note}")
