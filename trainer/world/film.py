"""Write a plan as an MP4 file and, where something is said, an SRT file beside it."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from engine.files import replacing
from trainer.world.draw import Painter
from trainer.world.plan import FPS, SIZE, VideoPlan
from trainer.world.speak import RATE, track

# One thread and no rate control feedback: the same bytes on every run.
_X264 = {"preset": "veryfast", "crf": "21", "g": str(FPS * 8), "threads": "1"}


def film(plan: VideoPlan, folder: Path, aloud: bool = False) -> bool:
    """Write `folder/<name>.mp4` and `.srt`, each whole or not at all; False if this plan's are there.

    Subtitles of another language than English say so in their name: `<name>.de.srt`. aloud: the lines are a
    sound track in place of subtitles.
    """
    video, lines = folder / f"{plan.name}.mp4", folder / subtitle_file(plan)
    mark, beside = f"{plan.fingerprint()}{' aloud' * aloud}", plan.subtitled and not aloud
    if _plan_of(video) == mark and lines.exists() == beside:
        return False
    if beside:
        with replacing(lines) as partial:
            partial.write_text(subtitles(plan), encoding="utf-8")
    else:
        lines.unlink(missing_ok=True)
    with replacing(video) as partial:
        _encode(plan, partial, mark, track(plan) if aloud and plan.lines else None)
    return True


def subtitle_file(plan: VideoPlan) -> str:
    """Return the name of a plan's SRT file."""
    return ".".join(part for part in (plan.name, plan.language, "srt") if part)


def subtitles(plan: VideoPlan) -> str:
    """Return the spoken lines as SubRip text."""
    return "".join(
        f"{number}\n{_stamp(line.start)} --> {_stamp(line.end)}\n{line.text}\n\n"
        for number, line in enumerate(plan.lines, 1)
    )


def _stamp(seconds: float) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02},{thousandths:03}"


def _plan_of(video: Path) -> str | None:
    """Return the fingerprint of the plan a file was rendered from, None where it cannot be read."""
    try:
        with av.open(str(video), metadata_errors="ignore") as container:
            return container.metadata.get("comment")
    except (OSError, av.FFmpegError):
        return None


def _encode(plan: VideoPlan, path: Path, mark: str, sound: NDArray[np.int16] | None) -> None:
    painter = Painter(plan)
    options = {"fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        container.metadata["comment"] = mark
        stream = container.add_stream("libx264", rate=plan.fps, options=_X264)
        stream.width, stream.height, stream.pix_fmt = SIZE, SIZE, "yuv420p"
        stream.codec_context.thread_count = 1
        spoken = container.add_stream("aac", rate=RATE, layout="mono") if sound is not None else None
        for index in range(plan.frames):
            frame = av.VideoFrame.from_ndarray(painter.frame(index, index / plan.fps), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, plan.fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if spoken is not None and sound is not None:
            whole = av.AudioFrame.from_ndarray(sound[None], format="s16", layout="mono")
            whole.sample_rate = RATE
            container.mux([*spoken.encode(whole), *spoken.encode()])
