"""What `spr search` does with an answer that is kept: files for other programs, clips."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from spr_cli.options import Output

if TYPE_CHECKING:
    from spr_client import SearchResult
    from spr_gateway.exports.excerpts import Excerpt

Command = TypeVar("Command", bound=Callable[..., Any])
FORMATS = ("csv", "json", "vtt", "otio", "fcp7xml", "fcpxml", "edl")
A_FILE_A_VIDEO = ("vtt", "edl")


_OPTIONS = (
    ("format", "Write moments for another program.", click.Choice(FORMATS)),
    ("out", "File for --format; of vtt and edl a folder.  [default: print]", Output()),
    ("export", "Folder for clips of the moments, and a manifest.", Output()),
    ("media", "Folder of the videos' files, where the service does not say it.", click.Path(path_type=Path)),
)


def options(command: Command) -> Command:
    """Give a command the options of what is kept."""
    for name, told, kind in reversed(_OPTIONS):
        command = click.option(f"--{name}", type=kind, help=told)(command)
    return command


def chosen(given: dict[str, Any], others: dict[str, bool]) -> "Kept | None":
    """Take these options out of `given`; return None where nothing is kept.

    others: flags of what is printed, and whether they are given.
    """
    keep = Kept(*(given.pop(name) for name, _, _ in _OPTIONS))
    if keep.out is not None and keep.format is None:
        raise click.UsageError(f"--out needs --format; write one of {', '.join(FORMATS)}")
    if keep.format in A_FILE_A_VIDEO and keep.out is None:
        raise click.UsageError(f"--format {keep.format} is a file a video; name their folder with --out")
    if keep.format is None and keep.export is None:
        return None
    for flag, said in others.items():
        if said:
            raise click.UsageError(f"{flag} is of what is printed; leave it out where moments are kept")
    return keep


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of an answer, and where."""

    format: str | None
    out: Path | None
    export: Path | None
    media: Path | None

    def save(self, query: str, found: "SearchResult", about: Sequence[str]) -> int:
        """Write it; return the exit code: 1 if some files are away, 2 if all are. about: of the answer."""
        from spr_gateway.exports import saving
        from spr_gateway.exports.excerpts import excerpts

        for sentence in about:
            _say(sentence)
        if self.format in saving.OF_SECONDS:
            _keep(saving.OF_SECONDS[self.format](query, found), self.format, self.out)
        if self.format not in saving.OF_FRAMES and self.export is None:
            return 0
        cuts, away, notes = excerpts(found.moments, self.media)
        if cuts and self.format in saving.OF_FRAMES:
            _keep(saving.OF_FRAMES[self.format](query, cuts), self.format, self.out)
        if cuts and self.export is not None:
            away += _clips(query, found, cuts, self.export)
        for sentence in (*notes, *away):
            _say(sentence)
        return 2 if found.moments and not cuts else int(bool(away))


def _keep(text: Any, form: str, out: Path | None) -> None:
    from spr_gateway.exports.saving import save as written

    if out is None:
        click.echo(text, nl=False)
        return
    for path in written(text, form, out):
        click.echo(f"wrote {path}")


def _clips(query: str, found: "SearchResult", cuts: "list[Excerpt]", folder: Path) -> list[str]:
    from spr_gateway.exports.clipping import MANIFEST, save_clips

    def done(clip: dict[str, Any]) -> None:
        early = f", from {clip['early']:.2f} s before it" if clip["early"] >= 0.005 else ""
        how = "without re-encoding" if clip["how"] == "copied" else "re-encoded, frame-exact"
        _say(f"{clip['file']}  {how}{early}")

    manifest, failed = save_clips(query, found, cuts, folder, done)
    _say(f"{len(manifest['clips'])} clips in {folder}; {MANIFEST} says what each holds")
    return failed


def _say(sentence: str) -> None:
    from engine.printable import printable

    click.echo(f"spr: {printable(sentence)}", err=True)
