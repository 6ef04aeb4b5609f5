"""A video's sound, as speech recognisers read it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from numpy.typing import NDArray

from trainer.ingest.container import STILL, demuxed, opened
from trainer.ingest.leaps import Follower, Leaps
from trainer.ingest.text_tracks import pick_text_track

# Samples a second of all recognisers here.
RATE = 16_000
# Times that two channels are louder than their sum where they are in opposite phase.
_OPPOSITE = 20
# Seconds that timestamps may be off before the sound is taken to have a gap.
_SLACK = 0.1


@dataclass(frozen=True, slots=True)
class Chunk:
    """Sound without a gap. start: seconds from where a player starts the file's clock.

    samples: (n,) int16.
    """

    start: float
    samples: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class About:
    """What a file has. seconds: of sound, as its header says, 0.0 where it says nothing."""

    has_text: bool
    has_sound: bool
    seconds: float


def about(path: Path) -> About:
    """Look at a file's header. Raises BadVideo."""
    with opened(path) as container:
        stream = _pick(container)
        seconds = 0.0 if container.duration is None else container.duration / av.time_base
        return About(pick_text_track(container) is not None, stream is not None, seconds)


def sound(path: Path) -> Iterator[Chunk]:
    """Yield the sound of the track that a player plays, mono at RATE; what does not decode is passed over.

    Raises BadVideo where the file cannot be opened.
    """
    with opened(path) as container:
        stream = _pick(container)
        if stream is None:
            return
        zero = 0.0 if container.start_time is None else container.start_time / av.time_base
        resampler, expected, leaps = _resampler(), None, Leaps(container)
        follower = Follower(leaps)
        for frame in _frames(container, stream, leaps):
            time = None if frame.time is None else follower.time(frame.time)
            if time is not None and expected is not None and abs(time - expected) > _SLACK:
                resampler, expected = _resampler(), None
            if expected is None:
                begins = expected = time or 0.0
                count = 0
            for part in resampler.resample(_heard(frame)):
                samples = part.to_ndarray().reshape(-1).astype(np.int16, copy=False)
                yield Chunk(begins - zero + count / RATE, samples)
                count += len(samples)
            expected += frame.samples / frame.sample_rate


def _frames(container: InputContainer, stream: AudioStream, leaps: Leaps) -> Iterator[AudioFrame]:
    pictures = next((each for each in container.streams.video if not each.disposition & STILL), None)
    packets = demuxed(container)
    while True:
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, OSError):
            return
        if packet is None:
            return
        if pictures is not None and packet.stream.index == pictures.index:
            leaps.take(packet)
        if packet.stream.index != stream.index:
            continue
        try:
            yield from stream.decode(packet)
        except av.error.FFmpegError:
            continue


def _heard(frame: AudioFrame) -> AudioFrame:
    """Return a frame that does not vanish in mono: of two channels in opposite phase the first for both."""
    # Of samples of 64 bits PyAV makes no array.
    if frame.layout.nb_channels != 2 or frame.format.name.startswith("s64"):
        return frame
    samples = frame.to_ndarray()
    planar = frame.format.is_planar
    silent = 128 if samples.dtype == np.uint8 else 0
    left, right = np.asarray(samples if planar else samples.reshape(-1, 2).T, np.float32) - silent
    # No number is less than one that is none.
    if not np.abs(left + right).sum() * _OPPOSITE < np.abs(left).sum() + np.abs(right).sum():
        return frame
    if planar:
        samples[1] = samples[0]
    else:
        samples[0, 1::2] = samples[0, ::2]
    same = AudioFrame.from_ndarray(samples, format=frame.format.name, layout=frame.layout.name)
    same.sample_rate, same.pts, same.time_base = frame.sample_rate, frame.pts, frame.time_base
    return same


def _resampler() -> av.AudioResampler:
    return av.AudioResampler(format="s16", layout="mono", rate=RATE)


def _pick(container: InputContainer) -> AudioStream | None:
    """Return the default track, else the first, of those that FFmpeg decodes."""
    known = [each for each in container.streams.audio if getattr(each, "codec_context", None) is not None]
    return min(known, key=lambda each: (not each.disposition & Disposition.default, each.index), default=None)
