"""`spr corpus import-moments`: judged moments of QVHighlights and its relatives into a collection."""

from pathlib import Path

import click

from spr_cli.options import Number


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--collection", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test"]),
    default="val",
    show_default=True,
    help="What it becomes.",
)
@click.option("--grade", default=4.0, show_default=True, type=Number(0, 4), help="Without saliency.")
@click.option(
    "--clip-length",
    default=2.0,
    show_default=True,
    type=Number(0, 3600, min_open=True),
    help="Seconds a saliency score stands for.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def command(
    file: Path, collection: Path, split: str, grade: float, clip_length: float, as_json: bool
) -> None:
    """Take FILE, JSON lines {qid, query, vid, duration, relevant_windows, saliency_scores}, as a split.

    A window's relevance is the mean saliency of its clips, between 1 and 4, or --grade where none is given; a
    training split gets none. Videos must have features in the collection, unless it has none at all. A window
    is cut at its video's end. A file with a line that is no query is refused and changes nothing; otherwise
    the split's earlier queries are replaced.

    \b
    Examples:
      spr corpus import-moments highlight_val_release.jsonl --collection c
      spr eval predictions.jsonl c/annotations/val.json
    """
    import json

    from trainer.formats.moments import import_moments

    found = import_moments(file, collection, split, grade=grade, clip=clip_length)
    moments = sum(len(query.moments) for query in found.queries)
    counts = {"queries": len(found.queries), "moments": moments, "videos": len(found.durations)}
    if as_json:
        left = {"empty": found.empty, "cut": found.cut, "replaced": found.replaced}
        click.echo(json.dumps({"split": split, **counts, **left}))
        return
    click.echo(f"{split}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    for note in found.notes:
        click.echo(f"note: {note}")
