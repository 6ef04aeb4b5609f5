"""`spr corpus name`: a name for what pictures show."""

from pathlib import Path

import click

from spr_cli.example_options import SPANNED, Spanned, frames_of, read_picture
from spr_cli.options import AS_JSON, COLLECTION, WORDS

MOST = 100


@click.command()
@click.argument("name", type=WORDS, metavar="@NAME")
@click.argument("shown", nargs=-1, required=True, type=SPANNED, metavar="PICTURE|VIDEO@SECONDS...")
@click.option("--collection", required=True, type=COLLECTION)
@click.option("--device", default="auto", help="auto, cpu or cuda.  [default: auto]")
@AS_JSON
def command(name: str, shown: tuple[Spanned, ...], collection: Path, device: str, as_json: bool) -> None:
    """Let @NAME stand for what pictures show, in sentences and as an example.

    A VIDEO is an id of the collection, or a file. Pictures with little else in them work best: a face, a
    dog, a logo. A name that was there stands for these alone from now on. A running service knows it at
    once.

    \b
    spr corpus name @anna anna1.jpg anna2.jpg --collection c
    spr corpus name @rex video_00012@14 video_00031@1:20 --collection c
    spr search "@anna pats @rex"
    """
    from spr_cli.output import print_json
    from trainer.collection.naming import give_name

    if len(shown) > MOST:
        raise click.UsageError(f"{len(shown)} pictures are more than {MOST}")
    pictures: list[bytes] = []
    instants: list[tuple[str, float]] = []
    for one in shown:
        file = Path(one.of)
        if one.end is None and file.is_file():
            pictures.append(read_picture(file))
        elif file.is_file():
            pictures += frames_of(one, 1)
        elif one.end is not None:
            instants.append((one.of, one.start))
        else:
            raise click.UsageError(f"{one.of!r} is no file; of a video of the collection write ID@SECONDS")
    entry = give_name(collection, name, pictures, instants, device)
    bare = name.removeprefix("@").casefold()
    if as_json:
        print_json({"name": bare, "pictures": entry.pictures})
    else:
        count = "1 picture" if entry.pictures == 1 else f"{entry.pictures} pictures"
        click.echo(f'@{bare} stands for {count}; ask: spr search "@{bare} ..."')
