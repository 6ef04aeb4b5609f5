"""Real files, written by PyAV: frame i of a video is one flat grey that tells i."""

import functools
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import av
import av.error
import numpy as np
import pytest
from av.stream import Disposition
from av.subtitles.subtitle import SubtitleSet
from numpy.typing import NDArray

MILLISECONDS = Fraction(1, 1000)
P = ParamSpec("P")


def grey(index: int) -> int:
    """The level of frame `index`; neighbours differ by more than any codec's error."""
    return 30 + 37 * index % 180


def regular(seconds: float, rate: int) -> list[int]:
    """Timestamps in ms of a constant rate."""
    return [round(1000 * i / rate) for i in range(round(seconds * rate))]


def _kept(write: Callable[Concatenate[Path, P], Path]) -> Callable[Concatenate[Path, P], Path]:
    """Write what was written before from memory: many tests want the same files, and encoding takes long."""
    made: dict[str, bytes] = {}

    @functools.wraps(write)
    def written(path: Path, /, *given: P.args, **how: P.kwargs) -> Path:
        if "picture" in how:  # whose words are not all of it
            return write(path, *given, **how)
        key = repr((path.suffix, given, how))
        if key not in made:
            made[key] = write(path, *given, **how).read_bytes()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(made[key])
        return path

    return written


@_kept
def write_video(
    path: Path,
    /,
    times: Sequence[int],
    *,
    codec: str = "libx264",
    rate: int = 10,
    size: tuple[int, int] = (64, 48),
    rotation: int | None = None,
    pixel_aspect: Fraction | None = None,
    audio_seconds: float = 0.0,
    subtitles: Sequence[tuple[int, int, str]] = (),
    subtitle_codec: str = "",
    options: dict[str, str] | None = None,
    picture: NDArray[np.uint8] | None = None,
    **open_options: Any,
) -> Path:
    """Write frames at `times` (ms); skip the test where this FFmpeg has no such encoder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(path, "w", **open_options) as container:
        try:
            stream: Any = container.add_stream(codec, rate=rate, options=options or {})
        except (ValueError, av.error.FFmpegError) as error:
            pytest.skip(f"this FFmpeg cannot encode {codec}: {error}")
        stream.width, stream.height, stream.pix_fmt = *size, "rgb8" if codec == "gif" else "yuv420p"
        # Ticks of the rate where frames are regular: AVI and GIF know nothing finer.
        fine = list(times) != regular(len(times) / rate, rate)
        stream.codec_context.time_base = MILLISECONDS if fine else Fraction(1, rate)
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if rotation is not None:
            stream.set_display_rotation(rotation)
        sound: Any = container.add_stream(_audio_codec(path), rate=48000) if audio_seconds else None
        text = _text_stream(container, subtitle_codec) if subtitles else None
        _mux_pictures(container, stream, times if fine else range(len(times)), size, picture)
        if sound is not None:
            write_audio(container, sound, audio_seconds)
        for start, end, words in subtitles:
            mux_subtitle(container, text, start, end, words)
    return path


def _text_stream(container: Any, codec: str) -> Any:
    stream = container.add_stream(codec)
    stream.codec_context.subtitle_header = b"[Script Info]\nScriptType: v4.00+\n"
    return stream


def _mux_pictures(
    container: Any,
    stream: Any,
    stamps: Sequence[int],
    size: tuple[int, int],
    picture: NDArray[np.uint8] | None,
) -> None:
    for index, stamp in enumerate(stamps):
        frame = av.VideoFrame.from_ndarray(_picture(index, size, picture), format="rgb24")
        frame.pts, frame.time_base = stamp, stream.codec_context.time_base
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write_audio(container: Any, stream: Any, seconds: float) -> None:
    """Mux a quiet tone."""
    size, rate = stream.codec_context.frame_size or 960, stream.codec_context.sample_rate
    for start in range(0, int(seconds * rate), size):
        tone = (np.sin(np.arange(start, start + size) / 20) * 0.1).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write_sound(path: Path, seconds: float = 1.0, *, cover: bool = False) -> Path:
    """Write a file with audio alone, or with a picture of its cover."""
    with av.open(path, "w", format="mp4") as container:
        sound = container.add_stream(_audio_codec(path), rate=48000)
        if cover:
            picture: Any = container.add_stream("mjpeg", rate=1)
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuvj420p"
            picture.disposition = Disposition.attached_pic
            frame = av.VideoFrame.from_ndarray(_picture(0, (64, 48), None), format="rgb24")
            frame.pts = 0
            container.mux([*picture.encode(frame), *picture.encode(None)])
        write_audio(container, sound, seconds)
    return path


def packet_times(path: Path) -> list[Fraction]:
    """Presentation times of the first video stream's packets, sorted, read by demuxing alone."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        packets = [p for p in container.demux(stream) if p.size and not p.is_discard]
        stamps = [p.dts if p.pts is None else p.pts for p in packets]
        return sorted(stamp * stream.time_base for stamp in stamps if stamp is not None)


def shown_at(times: Sequence[Fraction], grid: Sequence[Fraction]) -> list[Fraction]:
    """For every grid time that of the last frame not after it, both from the first frame: the slow truth."""
    relative = [time - times[0] for time in times]
    return [max(time for time in relative if time <= point) for point in grid]


def _picture(index: int, size: tuple[int, int], picture: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    return np.full((size[1], size[0], 3), grey(index), np.uint8) if picture is None else picture


def _audio_codec(path: Path) -> str:
    return "libopus" if path.suffix == ".webm" else "aac"


def mux_subtitle(container: Any, stream: Any, start: int, end: int, words: str) -> None:
    """Mux words; times in ms."""
    subtitle = SubtitleSet.create(f"0,0,Default,,0,0,0,,{words}".encode(), 0, end - start, start)
    packet = stream.codec_context.encode_subtitle(subtitle)
    packet.stream, packet.time_base = stream, MILLISECONDS
    packet.pts = packet.dts = start
    packet.duration = end - start
    container.mux(packet)
