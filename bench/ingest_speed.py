"""How fast ingest is beside the floor: decoding what is sampled of the same files, and nothing else."""

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

from bench.decoding import decode, sample
from bench.memory import peak
from engine.cores import cores
from engine.errors import InvalidInput
from trainer.ingest.options import IngestOptions
from trainer.ingest.pipeline import ingest
from trainer.ingest.scan import find
from trainer.ingest.summary import Summary
from trainer.ingest.tuning import encoding_threads
from workers.ranker.encoder.encoder import Encoder

Work = Callable[[Path], int]
STAGES = ("every picture", "decode", "decode + sample", "encode", "ingest")


@dataclass(frozen=True, slots=True)
class StageSpeed:
    """One measured stage over all files, as fast as the cores allow.

    seconds: median of the runs. pictures: of the files, or encoded. of_decoding: this stage's speed over that
    of decoding alone what is sampled; 1 is as fast. peak_mb: memory of all processes, 0 where not measured.
    """

    stage: str
    seconds: float
    pictures: int
    video_seconds: float
    of_decoding: float
    peak_mb: float = 0.0

    @property
    def pictures_per_second(self) -> float:
        """Pictures a second."""
        return self.pictures / self.seconds

    @property
    def times_real(self) -> float:
        """Seconds of video a second."""
        return self.video_seconds / self.seconds


def measure(
    paths: Sequence[Path],
    encoder_dir: str,
    *,
    device: str = "auto",
    fps: Fraction = Fraction(1),
    runs: int = 3,
) -> list[StageSpeed]:
    """Time decoding every picture, decoding what is sampled, that and scaling, encoding, and a whole ingest.

    The runs take turns, so that all stages see the same machine; processes are started and the encoder is
    loaded beforehand, except the processes that ingest itself starts. Raises InvalidInput where a file
    cannot be ingested.
    """
    encoder = Encoder.load(encoder_dir, device)
    files = [found.path for found in find(paths)]
    times: dict[str, list[float]] = {name: [] for name in STAGES}
    peaks = []
    with decoders(files) as pool, encoding_threads(encoder.device) as encoders:
        options = IngestOptions(fps, encoder.frame_edge, encoders=encoders)
        works: tuple[Work, ...] = (
            decode,
            partial(decode, fps=fps),
            partial(sample, fps=fps, edge=options.edge),
        )
        for _ in range(runs):
            for name, work in zip(STAGES, works, strict=False):
                times[name].append(_clock(partial(_all, pool, work, files)))
            began = time.perf_counter()
            with peak() as reached:
                summary = _ingest(files, encoder, options)
            times["ingest"].append(time.perf_counter() - began)
            peaks.append(reached() / 1e6)
            times["encode"].append(_clock(partial(_encode, encoder, summary.frames, options)))
    return _speeds(times, summary, max(peaks))


def _speeds(times: Mapping[str, Sequence[float]], summary: Summary, peak_mb: float) -> list[StageSpeed]:
    medians = {stage: statistics.median(each) for stage, each in times.items()}
    return [
        StageSpeed(
            stage,
            seconds,
            summary.frames if stage == "encode" else summary.decoded_frames,
            summary.seconds_of_video,
            medians["decode"] / seconds,
            peak_mb if stage == "ingest" else 0.0,
        )
        for stage, seconds in medians.items()
    ]


@contextmanager
def decoders(files: Sequence[Path]) -> Iterator[ProcessPoolExecutor]:
    """Start a process a core, and have each decode something first."""
    with ProcessPoolExecutor(cores(), multiprocessing.get_context("spawn")) as pool:
        _all(pool, decode, [*files, *files][: 4 * cores()])
        yield pool


def table(rows: Sequence[StageSpeed]) -> str:
    """Return the rows as lines of text."""
    lines = [f"{'stage':16} {'seconds':>8} {'pictures/s':>11} {'x real time':>12} {'of decoding':>12}"]
    lines += [
        f"{row.stage:16} {row.seconds:8.2f} {row.pictures_per_second:11.0f} {row.times_real:12.0f} "
        f"{row.of_decoding:12.2f}"
        for row in rows
    ]
    return "\n".join(lines)


def _all(pool: ProcessPoolExecutor, work: Work, files: Sequence[Path]) -> None:
    list(pool.map(work, files))


def _clock(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _ingest(files: Sequence[Path], encoder: Encoder, options: IngestOptions) -> Summary:
    with tempfile.TemporaryDirectory() as folder:
        summary = ingest(files, Path(folder, "collection"), encoder, options, lambda *_: None)
    if summary.failed:
        raise InvalidInput(
            f"{summary.failed[0].path}: {summary.failed[0].reason}; leave it out and try again"
        )
    return summary


def _encode(encoder: Encoder, count: int, options: IngestOptions) -> None:
    """Encode as many pictures as were sampled, in the same batches and as many at a time."""
    batch = np.zeros((options.batch_size, options.edge, options.edge, 3), np.uint8)
    sizes = [options.batch_size] * (count // options.batch_size) + [count % options.batch_size]
    with ThreadPoolExecutor(options.encoders) as pool:
        list(pool.map(lambda size: encoder.images(batch[:size]), sizes))


def main() -> None:
    """Print the table of `python -m bench.ingest_speed PATHS... --encoder DIR`."""
    parser = argparse.ArgumentParser(prog="python -m bench.ingest_speed", description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    print(table(measure(given.paths, given.encoder, device=given.device, runs=given.runs)))


if __name__ == "__main__":
    main()
