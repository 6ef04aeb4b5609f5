"""What cannot be saved: decoding, in processes that load nothing else."""

from fractions import Fraction
from pathlib import Path

import av

from trainer.ingest.video import VideoSampler


def decode(path: Path) -> int:
    """Decode every picture of a file with one thread, keep none; return how many."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        return sum(1 for _ in container.decode(stream))


def sample(path: Path, fps: Fraction, edge: int) -> int:
    """Decode a file, scale the pictures shown at grid points; return how many pictures it has."""
    sampler = VideoSampler(path, fps, edge, threads=1)
    for _ in sampler:
        pass
    return 0 if sampler.report is None else sampler.report.frames
