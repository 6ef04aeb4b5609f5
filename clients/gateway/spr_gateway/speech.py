"""What is said and written in a video, as ingest finds it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.texts import Line
from spr_gateway.pictures import first_time
from spr_gateway.shelf import Shelf, Video
from trainer.ingest.beside import Sidecars
from trainer.ingest.container import demuxed, opened, video_stream
from trainer.ingest.sidecars import read_sidecar
from trainer.ingest.subtitles import Cue
from trainer.ingest.text_tracks import TextTrack, pick_text_track
from trainer.ingest.transcripts import Transcripts, clock


@dataclass(frozen=True, slots=True)
class Speech:
    """A video's cues, and texts on the screen, by start, in seconds from the first frame."""

    cues: tuple[Cue, ...]
    written: tuple[Line, ...] = ()

    @property
    def size(self) -> int:
        """Bytes, about."""
        return 100 + sum(100 + len(text) for text in self._texts())

    def _texts(self) -> Iterator[str]:
        yield from (cue.text for cue in self.cues)
        yield from (line.text for line in self.written)

    def vtt(self) -> str:
        """Return them as a WebVTT file."""
        return vtt(self.cues)


def of(shelf: Shelf, video: Video) -> Speech:
    """Return what is searched of a video; where nothing is that is said, what its files say now."""
    kept = shelf.texts(video)
    cues = tuple(Cue(line.start, line.end, line.text) for line in kept.said)
    return Speech(cues or read(video.path, video.duration, Transcripts.of(video.home)).cues, kept.written)


def vtt(cues: Iterable[Cue]) -> str:
    """Return cues as a WebVTT file."""
    lines = (f"{clock(cue.start)} --> {clock(cue.end)}\n{_escaped(cue.text)}\n" for cue in cues)
    return "WEBVTT\n\n" + "\n".join(lines)


def read(path: Path, duration: float, transcripts: Transcripts | None = None) -> Speech:
    """Return the cues of the subtitle file beside a video, else of the text track inside, else heard."""
    beside = Sidecars().of(path).path
    if beside is not None:
        cues = read_sidecar(beside).cues
        if cues:
            return Speech(tuple(cue for cue in cues if cue.start < duration))
    with opened(path) as container:
        if pick_text_track(container) is None:
            heard = None if transcripts is None else transcripts.of_file(path)
            return Speech(() if heard is None else read_sidecar(heard).cues)
        pictures = video_stream(container, path)
        first, track = first_time(pictures), TextTrack(container, pictures, path)
        for packet in demuxed(container):
            track.take(packet)
        return Speech(track.cues(first, duration))


def _escaped(text: str) -> str:
    """Return a text without what ends a cue, an empty line, or begins one, `-->`."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "\n".join(line for line in plain.splitlines() if line.strip())
