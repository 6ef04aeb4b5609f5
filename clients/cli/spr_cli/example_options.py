"""The options that show what is sought: pictures, clips, spans of videos."""

import re
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from spr_cli.filter_options import CLOCK
from spr_cli.options import Number

if TYPE_CHECKING:
    from spr_client import Part

Command = TypeVar("Command", bound=Callable[..., Any])
MOST = 10
LARGEST_FILE = 64 << 20  # bytes of a picture file; more is no picture, and may have no end
_TIME = r"[\d:.]+"
_SPAN = re.compile(rf"(.+)@({_TIME})(?:-({_TIME})?)?")


class Spanned(NamedTuple):
    """A video or a file, and seconds of it, [start, end). end None: to its end."""

    of: str
    start: float = 0.0
    end: float | None = None


class _Spanned(click.ParamType[Spanned]):
    """WHAT, WHAT@1:30, WHAT@12-20 or WHAT@12-."""

    name = "what[@from-to]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Spanned:
        """Return the parts. Of one time alone the span is a second."""
        if isinstance(value, Spanned):
            return value
        if (found := _SPAN.fullmatch(value)) is None:
            return Spanned(value)
        end: float | None
        start = CLOCK.convert(found[2], param, ctx)
        if found[3] is not None:
            end = CLOCK.convert(found[3], param, ctx)
        else:
            end = None if value.endswith("-") else start + 1.0
        if end is not None and end <= start:
            self.fail(f"{value!r} ends before it begins; write NAME@12-20", param, ctx)
        return Spanned(found[1], start, end)


SPANNED = _Spanned()
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OPTIONS = (
    click.option("--image", "images", multiple=True, type=_FILE, help="Looks like this picture; repeatable."),
    click.option(
        "--like", multiple=True, type=SPANNED, metavar="ID[@12-20]", help="Like these seconds of a video."
    ),
    click.option(
        "--clip", "clips", multiple=True, type=SPANNED, metavar="FILE[@12-20]", help="Like this video file."
    ),
    click.option("--example-weight", type=Number(0, 1), help="Of examples against TEXT."),
)


def of_examples(command: Command) -> Command:
    """Give a command the options that show what is sought."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def shown(text: str, given: MutableMapping[str, Any]) -> "str | Part":
    """Take the options out of a command's; return the query that they and TEXT make."""
    from spr_client import Clip, Part

    images, like, clips = (given.pop(name) for name in ("images", "like", "clips"))
    weight = given.pop("example_weight")
    pictures = [read_picture(path) for path in images]
    each = max(1, (MOST - len(images) - len(like)) // max(1, len(clips)))
    pictures += [frame for clip in clips for frame in frames_of(clip, each)]
    if not pictures and not like:
        if not text:
            raise click.UsageError("Missing argument 'TEXT', or --image, --like or --clip.")
        if weight is not None:
            raise click.UsageError("--example-weight is of examples; give --image, --like or --clip")
        return text
    return Part(text, pictures, [Clip(*span) for span in like], weight=weight)


def read_picture(path: Path) -> bytes:
    """Return a picture file, a smaller one in place of a large one; UsageError names one that is none."""
    from engine.errors import InvalidInput
    from workers.pictures import sendable

    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
        if len(data) > LARGEST_FILE:
            raise InvalidInput(f"it has more than {LARGEST_FILE >> 20} MiB; give a smaller picture")
        return sendable(data)
    except (InvalidInput, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise click.UsageError(f"{path}: {why}") from None


def frames_of(clip: Spanned, most: int) -> list[bytes]:
    """Return some frames of a video file as pictures; UsageError names a file that has none."""
    from engine.errors import SprError
    from spr_gateway.pictures import evenly
    from trainer.ingest.errors import BadVideo
    from workers.pictures import SENT_EDGE, jpeg

    path = Path(clip.of)
    if not path.is_file():
        raise click.UsageError(f"{clip.of!r} is no file; --like takes spans of videos of the collection")
    try:
        return [jpeg(frame) for frame in evenly(path, clip.start, clip.end, most, SENT_EDGE)]
    except (BadVideo, SprError) as error:
        raise click.UsageError(f"{path} cannot be used: {error}") from None
