"""`spr corpus annotate`: judged queries into a collection."""

from pathlib import Path

import click


@click.command()
@click.argument("annotations", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--collection", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def command(annotations: Path, collection: Path, as_json: bool) -> None:
    """Check the judged queries in ANNOTATIONS and keep them in the collection for training and evaluation.

    ANNOTATIONS holds train.json, val.json and test.json in the TVR-Ranking format, and beside each a
    corpus_<split>.json {video: duration}. A video that the collection has no features of is refused.
    Queries that a split had are replaced, with a note.

    \b
    spr corpus annotate world/annotations --collection c
    """
    import json

    from trainer.formats.adopt import adopt_annotations
    from trainer.formats.splits import told

    counts, replaced = adopt_annotations(annotations, collection)
    if as_json:
        click.echo(json.dumps({**counts, "replaced": replaced}))
        return
    for split, (queries, moments, videos) in counts.items():
        click.echo(f"{split}: {queries} queries, {moments} judged moments, {videos} videos")
    for note in told(replaced):
        click.echo(f"note: {note}")
