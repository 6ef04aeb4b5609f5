"""`spr import-checkpoint`: a published checkpoint as a model of ours."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from spr_cli.options import AS_JSON, Number, Output

if TYPE_CHECKING:
    from trainer.formats.checkpoints import Checkpoint


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--out", type=Output(file_okay=False, beside=True), help="Directory to write.")
@click.option(
    "--collection",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Collection to keep it in, as the model that the next build takes.",
)
@click.option("--kind", type=click.Choice(["projector", "ranker"]), help="Refuse a file of the other kind.")
@click.option("--encoder", help="Fingerprint of the encoder whose features it reads.")
@click.option("--heads", type=click.IntRange(1), help="Attention heads, where the file does not say.")
@click.option(
    "--segment-length",
    default=4,
    show_default=True,
    type=click.IntRange(1),
    help="Frames a segment, for a projector.",
)
@click.option(
    "--clip-length",
    default=1.5,
    show_default=True,
    type=Number(0, 3600, min_open=True),
    help="Seconds a clip, for a ranker.",
)
@click.option(
    "--context",
    default=8.0,
    show_default=True,
    type=Number(0, 3600),
    help="Seconds around a proposal, for a ranker.",
)
@click.option(
    "--padding",
    type=click.Choice(["published", "tight"]),
    default="published",
    show_default=True,
    help="Pad a ranker's windows to a fixed length as it was trained, or only as far as needed.",
)
@click.option(
    "--max-pred-l",
    "max_span",
    default=16,
    show_default=True,
    type=click.IntRange(2),
    help="Clips of the longest moment of a ranker: 16 are 24 s of 1.5 s, and 16 s of 1 s.",
)
@click.option("--video-stream", default="i3d", show_default=True, help="What a ranker sees.")
@click.option("--subtitle-stream", default="subtitles-bert", show_default=True, help="What a ranker hears.")
@AS_JSON
def command(
    file: Path,
    out: Path | None,
    collection: Path | None,
    kind: str | None,
    encoder: str | None,
    as_json: bool,
    **choices: object,
) -> None:
    """Turn FILE, a stage-1 ckpt.bin or a stage-3 best_model.pt, into config.json and model.safetensors.

    The file is read as data: nothing in it is run, and of its contents only tensors and plain values are
    taken. Its kind and its sizes come from the names and shapes of its tensors.

    \b
    Examples:
      spr import-checkpoint ckpt.bin --collection c
      spr import-checkpoint best_model.pt --collection c --padding tight
      spr import-checkpoint best_model.pt --collection c --clip-length 1 --max-pred-l 24
      spr import-checkpoint best_model.pt --out models/relo --heads 8
    """
    from trainer.formats.checkpoints import Choices, read_checkpoint
    from trainer.formats.keeping import keep, keep_in_collection

    if (out is None) == (collection is None):
        raise click.UsageError("Give either --out DIR or --collection COLLECTION.")
    checkpoint = read_checkpoint(file, Choices(**choices), kind)  # type: ignore[arg-type]
    before = None
    if collection is not None:
        directory, before = keep_in_collection(checkpoint, collection, encoder)
    else:
        directory = Path(str(out))
        keep(checkpoint, directory, encoder or "")
    _show(checkpoint, directory, before, as_json)


def _show(checkpoint: "Checkpoint", directory: Path, before: Path | None, as_json: bool) -> None:
    import json
    from dataclasses import asdict

    from workers.ranker.stores.checkpoint import read_card

    card, tensors = read_card(directory), len(checkpoint.state)
    values = sum(tensor.numel() for tensor in checkpoint.state.values())
    if as_json:
        said = {
            **asdict(card),
            "directory": str(directory),
            "replaced": before and str(before),
            "tensors": tensors,
            "values": values,
        }
        click.echo(json.dumps(said))
        return
    click.echo(f"{directory}")
    click.echo(f"{card.kind} {card.fingerprint}: {tensors} tensors, {values:,} values")
    if before is not None:
        click.echo(f"note: it took the place of the current {card.kind}, which stays in {before}")
