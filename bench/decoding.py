"""The floors of ingest: decode every picture, or what is sampled, in processes that load nothing else."""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av.error

from trainer.ingest import container as containers
from trainer.ingest.ahead import Ahead, Use
from trainer.ingest.errors import BadVideo
from trainer.ingest.video import VideoSampler


def decode(path: Path, fps: Fraction | None = None) -> int:
    """Decode a file with one thread and keep nothing; return how many pictures came out.

    fps: decode only what pictures shown at k / fps are made from; None: every picture. Raises BadVideo.
    """
    with _named(path), containers.opened(path) as container:
        stream = containers.video_stream(container, path)
        stream.codec_context.thread_count = 1
        ahead = None if fps is None else Ahead.of(container, stream, fps)
        if ahead is None:
            return sum(1 for _ in container.decode(stream))
        count = 0
        for packet, use in ahead.look(containers.demuxed(container)):
            if packet.stream.index != stream.index:
                continue
            stream.codec_context.skip_frame = "DEFAULT" if use is Use.SHOWN else "NONREF"
            for frame in [] if use is Use.NONE else stream.decode(packet):
                ahead.origin = frame.pts if ahead.origin is None else ahead.origin
                count += 1
        return count


def sample(path: Path, fps: Fraction, edge: int) -> int:
    """Decode a file, scale the pictures shown at grid points; return how many were decoded.

    Raises BadVideo.
    """
    sampler = VideoSampler(path, fps, edge, threads=1)
    with _named(path):
        for _ in sampler:
            pass
    return sampler.decoded


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Put the file's name into its error."""
    try:
        yield
    except BadVideo as error:
        raise BadVideo(error.kind, f"{path}: {error}; leave it out and measure again") from error
    except av.error.FFmpegError as error:
        raise BadVideo(
            "corrupt", f"{path} does not decode ({error}); leave it out and measure again"
        ) from error
