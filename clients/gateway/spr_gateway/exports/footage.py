"""What an editor has to know of a file: how its frames are counted, and from which timecode on."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

from av.container import InputContainer
from av.video.stream import VideoStream

from engine.errors import InvalidInput
from spr_gateway.cutter import readable, rotation
from spr_gateway.exports.timecode import Counting, can_drop, counted
from trainer.ingest.container import opened, video_stream

LOOKED_AT = 300  # pictures, to tell whether the rate is constant
# Of the last ones looked at, earlier ones may still come: pictures are stored in the order of decoding.
REORDERED = 17


@dataclass(frozen=True, slots=True)
class Footage:
    """A video file. start: timecode of its first frame, counted from midnight. frames: how many it has.

    width, height: as it is shown.
    channels: of sound, 0 for none; sampled: hertz. notes: sentences on what its timecodes do not tell.
    """

    path: Path
    counting: Counting
    start: int
    frames: int
    width: int
    height: int
    channels: int
    sampled: int
    notes: tuple[str, ...] = ()

    def label(self, frame: int) -> str:
        """Return the timecode of a frame, counted from the file's first."""
        return self.counting.label(self.start + frame)


def footage(path: Path) -> Footage:
    """Look into a file; BadVideo where it is no video."""
    with opened(path) as container:
        stream = video_stream(container, path)
        measured = stream.guessed_rate or stream.average_rate or Fraction(25)
        rate, notes = counted(Fraction(measured)), list[str]()
        sound = container.streams.audio[0] if container.streams.audio else None
        tag = _timecode(container, stream)
        counting, start = Counting(rate), 0
        if tag:
            counting, start = _started(tag, rate, path, notes)
        frames = max(1, round(_duration(container, stream) * rate))
        channels = min(2, sound.codec_context.channels) if sound else 0
        sampled = sound.codec_context.sample_rate if sound else 0
        constant = _constant(container, stream, Fraction(measured))
        width, height = _shown(container, stream)
    if not constant:
        notes.append(
            f"{path.name} has no constant frame rate: its timecodes count {float(rate):.5g} a second"
        )
    elif abs(measured / rate - 1) > Fraction(1, 1000):
        notes.append(
            f"{path.name} has {float(measured):.5g} frames a second, which no timecode counts: "
            f"{float(rate):.5g} are counted"
        )
    return Footage(path, counting, start, frames, width, height, channels, sampled, tuple(notes))


def _timecode(container: InputContainer, stream: VideoStream) -> str:
    tags = chain([stream.metadata], (each.metadata for each in container.streams), [container.metadata])
    # Matroska's names of tags are capitals.
    found = (value for each in tags for name, value in each.items() if name.lower() == "timecode" and value)
    return next(found, "")


def _started(tag: str, rate: Fraction, path: Path, notes: list[str]) -> tuple[Counting, int]:
    counting = Counting(rate, drop=can_drop(rate) and any(mark in tag for mark in ";."))
    try:
        return counting, counting.frame(tag)
    except InvalidInput as error:
        notes.append(f"{path.name} starts at no timecode that counts, so 00:00:00:00 is taken: {error}")
        return Counting(rate), 0


def _duration(container: InputContainer, stream: VideoStream) -> Fraction:
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    return Fraction(container.duration or 0, 1_000_000)


def _shown(container: InputContainer, stream: VideoStream) -> tuple[int, int]:
    """Return width and height as players show them: films of telephones lie on their side."""
    lies = rotation(container, stream) % 180 == 90
    return (stream.height, stream.width) if lies else (stream.width, stream.height)


def _constant(container: InputContainer, stream: VideoStream, rate: Fraction) -> bool:
    """Whether the first pictures lie where a constant rate puts them, and all together are as many."""
    packets = islice((p for p in readable(container, stream) if p.size and not p.is_discard), LOOKED_AT)
    stamps = [p.dts if p.pts is None else p.pts for p in packets]
    base = stream.time_base or Fraction(1)
    times: list[Fraction] = sorted(stamp * base for stamp in stamps if stamp is not None)
    if len(times) == LOOKED_AT:
        times = times[:-REORDERED]
    steady = all(abs((time - times[0]) * rate - n) < Fraction(1, 2) for n, time in enumerate(times))
    many = _duration(container, stream) * rate
    return steady and (not stream.frames or abs(stream.frames - many) <= max(Fraction(2), many / 100))
