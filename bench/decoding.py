"""The floor of ingest: decode every picture, in processes that load nothing else."""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av.error

from trainer.ingest import container as containers
from trainer.ingest.errors import BadVideo
from trainer.ingest.video import VideoSampler


def decode(path: Path) -> int:
    """Decode every picture of a file with one thread, keep none; return how many. Raises BadVideo."""
    with _named(path), containers.opened(path) as container:
        stream = containers.video_stream(container, path)
        stream.codec_context.thread_count = 1
        return sum(1 for _ in container.decode(stream))


def sample(path: Path, fps: Fraction, edge: int) -> int:
    """Decode a file, scale the pictures shown at grid points; return how many pictures it has.

    Raises BadVideo.
    """
    sampler = VideoSampler(path, fps, edge, threads=1)
    with _named(path):
        for _ in sampler:
            pass
    return 0 if sampler.report is None else sampler.report.frames


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
