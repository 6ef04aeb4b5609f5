"""`spr corpus`: make and convert video worlds and annotations."""

import click

from spr_cli.lazy import lazy_group

COMMANDS = {
    "render": ("spr_cli.corpus_render", "Render a world of real MP4 files with annotations."),
    "annotate": ("spr_cli.corpus_annotate", "Take judged queries into a collection."),
    "name": ("spr_cli.corpus_name", "Give pictures a name that sentences can use: @anna."),
    "names": ("spr_cli.corpus_names", "List names of pictures, or remove them."),
    "import-tvr-ranking": ("spr_cli.corpus_import_tvr_ranking", "Take TVR-Ranking's data into a collection."),
    "export-tvr-ranking": ("spr_cli.corpus_export_tvr_ranking", "Write a collection as TVR-Ranking's data."),
    "import-moments": ("spr_cli.corpus_import_moments", "Take QVHighlights-like moments into a collection."),
    "transcripts": (
        "spr_cli.corpus_transcripts",
        "List transcripts and screens that were read; correct them.",
    ),
    "export": ("spr_cli.corpus_export", "Write vectors, spans and texts as Parquet, for other engines."),
    "export-feedback": ("spr_cli.corpus_export_feedback", "Write what people judged as training data."),
    "synthesize-features": ("spr_cli.corpus_synthesize_features", "Make features at a corpus' real size."),
}


@click.group(cls=lazy_group(COMMANDS))
def command() -> None:
    """Make and convert video worlds and annotations.

    \b
    spr corpus render world --videos 20
    spr corpus annotate world/annotations --collection c
    """
