"""Read one file: its samples, and then how it ended."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av.error

from engine.errors import InvalidInput
from engine.files import sha256
from trainer.ingest import reasons
from trainer.ingest.container import check_file
from trainer.ingest.errors import BadVideo, Kind
from trainer.ingest.limits import DEFAULT, Admit, Limits, no_wait
from trainer.ingest.subtitles import Cue, read_sidecar
from trainer.ingest.video import Sample, VideoReport, VideoSampler
from workers.store import VideoRecord


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A file to read. known: what the collection holds of it, if anything.

    away: videos of the collection of the same size whose files are not there: this may be one of them, moved.
    """

    id: str
    path: Path
    sidecar: Path | None
    known: VideoRecord | None
    away: tuple[VideoRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """The bytes that features come from. info: how to tell, without reading, that a file is the same."""

    sha256: str
    sidecar_sha256: str
    info: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Read:
    """All samples of a job have been sent."""

    source: Source
    report: VideoReport
    cues: Sequence[Cue]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The job's bytes are those the collection holds."""

    source: Source


# What a reader says of a job: samples, then one of the others.
Word = Sample | Read | Unchanged | BadVideo


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """fps: grid points a second. edge: limit of a frame's short side. threads: of each decoder."""

    fps: Fraction
    edge: int
    keep_truncated: bool = False
    threads: int = 0
    limits: Limits = DEFAULT


def words(job: Job, options: ReadOptions, admit: Admit = no_wait) -> Iterator[Word]:
    """Yield the samples of a file and then how it ended; what is wrong with the file is a BadVideo.

    admit: called with the pixels of a picture before any is decoded; may wait.
    """
    try:
        yield from _read(job, options, admit)
    except BadVideo as error:
        yield error
    except MemoryError:
        yield BadVideo(
            "too-large", "there is not enough memory to decode it; read fewer files at a time (--readers)"
        )
    except OSError as error:
        kind: Kind = "corrupt" if isinstance(error, av.error.FFmpegError) else "unreadable"
        yield BadVideo(kind, f"it cannot be read: {reasons.words(error)}")
    except Exception as error:  # whatever damaged bytes make a decoder raise, the other files go on
        yield BadVideo("corrupt", f"it cannot be decoded: {reasons.words(error)}")


def stamp(path: Path) -> dict[str, int]:
    """Return size and time of change: while they stay, the bytes are taken to be the same. Raises OSError."""
    status = path.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def source_info(job: Job) -> dict[str, Any]:
    """Return what tells a job's files without reading them; BadVideo for a file that is not there."""
    try:
        info: dict[str, Any] = {**stamp(job.path), "sidecar": None}
        if job.sidecar is not None:
            info["sidecar"] = {
                "name": os.fsencode(job.sidecar.name).decode(errors="replace"),
                **stamp(job.sidecar),
            }
    except OSError as error:
        raise BadVideo("unreadable", f"it cannot be read: {error.strerror}") from error
    return info


def _read(job: Job, options: ReadOptions, admit: Admit) -> Iterator[Word]:
    check_file(job.path)
    sampler = VideoSampler(
        job.path,
        options.fps,
        options.edge,
        keep_truncated=options.keep_truncated,
        threads=options.threads,
        limits=options.limits,
        admit=admit,
    )
    source = _source(job)
    if any(known is not None and _same(known, source) for known in (job.known, *job.away)):
        yield Unchanged(source)
        return
    yield from sampler
    report = sampler.report
    assert report is not None
    if source_info(job) != source.info:
        raise BadVideo(
            "changed", "it was changed while it was read; run the command again when it is complete"
        )
    cues, warnings = _cues(job, report)
    yield Read(source, report, cues, (*warnings, *report.warnings))


def _source(job: Job) -> Source:
    info = source_info(job)
    return Source(sha256(job.path), sha256(job.sidecar) if job.sidecar else "", info)


def _same(known: VideoRecord, source: Source) -> bool:
    return known.sha256 == source.sha256 and known.info.get("sidecar_sha256", "") == source.sidecar_sha256


def _cues(job: Job, report: VideoReport) -> tuple[Sequence[Cue], tuple[str, ...]]:
    """Return the sidecar's cues, else the embedded ones; a sidecar that cannot be read is a warning."""
    if job.sidecar is None:
        return report.cues, ()
    try:
        return [cue.shifted(-report.lead) for cue in read_sidecar(job.sidecar)], ()
    except (InvalidInput, OSError) as error:
        return report.cues, (str(error),)
