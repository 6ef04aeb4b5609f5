"""Read one file: its samples, and then how it ended."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av.error

from engine.errors import SprError
from engine.texts import Line
from trainer.ingest import media, reasons, screens, texts
from trainer.ingest.container import check_file
from trainer.ingest.errors import BadVideo, Kind
from trainer.ingest.limits import DEFAULT, Admit, Limits, no_wait
from trainer.ingest.said import said
from trainer.ingest.scan import printable
from trainer.ingest.sidecars import Words, read_sidecar, says_nothing
from trainer.ingest.subtitles import Cue
from trainer.ingest.texts import Texts
from trainer.ingest.transcripts import Transcripts, head_of
from trainer.ingest.video import Sample, VideoReport, VideoSampler
from workers.feature_store.store import VideoRecord


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A file to read. sidecar: its subtitle file. known: what the collection holds of it, if anything.

    language: of the subtitle file, ISO 639, "" where its name does not say it. transcript: what a recogniser
    heard in it, for want of subtitles. screen: what was read on its screen.
    away: videos of the collection of the same size whose files are not there: this may be one of them, moved.
    notes: what is to be told of the choice of the subtitle file.
    """

    id: str
    path: Path
    sidecar: Path | None
    known: VideoRecord | None
    away: tuple[VideoRecord, ...] = ()
    notes: tuple[str, ...] = ()
    language: str = ""
    transcript: Path | None = None
    screen: Path | None = None


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
    texts: Texts


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The job's bytes are those the collection holds; its texts may be others."""

    source: Source
    texts: Texts
    warnings: tuple[str, ...] = ()


# What a reader says of a job: samples, then one of the others.
Word = Sample | Read | Unchanged | BadVideo


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """fps: grid points a second. edge: limit of a frame's short side. threads: of each decoder.

    collection: whose transcripts, readings of screens and texts are looked at, if there are any.
    """

    fps: Fraction
    edge: int
    keep_truncated: bool = False
    threads: int = 0
    limits: Limits = DEFAULT
    collection: Path | None = None


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


def stamp(path: Path, fresh: bool = True) -> dict[str, Any]:
    """Return size and time of change: while they stay, the bytes are taken to be the same. Raises OSError.

    Of a URL: what its server says of its content. fresh: asked now, not when its folder was listed.
    """
    return media.status(path, fresh).state


def source_info(job: Job, fresh: bool = True) -> dict[str, Any]:
    """Return what tells a job's files without reading them; BadVideo for one that is not there."""
    try:
        info: dict[str, Any] = {
            **stamp(job.path, fresh),
            "sidecar": _sidecar_info(job.sidecar or job.transcript, fresh),
            "screen": _sidecar_info(job.screen, fresh),
        }
    except OSError as error:
        raise BadVideo("unreadable", f"it cannot be read: {error.strerror}") from error
    return info


def _sidecar_info(path: Path | None, fresh: bool) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        return {"name": printable(path.name), **stamp(path, fresh)}
    except OSError:  # a link to nothing: reading it says so
        return {"name": printable(path.name)}


def _read(job: Job, options: ReadOptions, admit: Admit) -> Iterator[Word]:
    check_file(job.path)
    with media.once(job.path):
        yield from _read_once(job, options, admit)


def _read_once(job: Job, options: ReadOptions, admit: Admit) -> Iterator[Word]:
    sampler = VideoSampler(
        job.path,
        options.fps,
        options.edge,
        keep_truncated=options.keep_truncated,
        threads=options.threads,
        limits=options.limits,
        admit=admit,
    )
    content = media.content_of(job.path)
    if options.collection is not None:
        job = with_sidecars(job, options.collection, content)
    info = source_info(job)
    words = _words(job, options.limits)
    source = Source(content, words.sha256, info)
    for known in (job.known, *job.away):
        if known is not None and _same(known, source):
            yield Unchanged(source, _texts_of_known(job, known, words, options), words.warnings)
            return
    yield from sampler
    report = sampler.report
    assert report is not None
    if source_info(job) != source.info:
        raise BadVideo(
            "changed", "it was changed while it was read; run the command again when it is complete"
        )
    cues, warnings = _cues(job, words, report)
    language = report.language if cues is report.cues else _language(job)
    yield Read(
        source, report, cues, (*warnings, *report.warnings), _texts(job, cues, report.duration, language)
    )


def with_sidecars(job: Job, collection: Path, content: str) -> Job:
    """Return the job with what the collection holds beside its features. content: the file's SHA-256.

    A transcript takes the place of a subtitle file that says nothing.
    """
    heard = Transcripts.of(collection).found(content)
    if heard is not None and job.sidecar is not None:
        if says_nothing(job.sidecar):
            job = replace(job, sidecar=None, language="")
        else:
            heard = None
    return replace(job, transcript=heard, screen=Transcripts.of_screens(collection).found(content))


def _texts_of_known(job: Job, known: VideoRecord, words: Words, options: ReadOptions) -> Texts:
    """Return the texts of a video that is stored: what is said as noted, else read without its pictures."""
    if options.collection is not None and texts.KEY in known.info:
        with contextlib.suppress(OSError, SprError):
            noted = texts.read(options.collection, known.info)
            return replace(noted, written=_written(job, known.duration))
    cues, language = said(job.path, words.cues, job.sidecar is not None, known.duration, options.limits)
    return _texts(job, cues, known.duration, language or (_language(job) if cues else ""))


def _texts(job: Job, cues: Sequence[Cue], duration: float, language: str) -> Texts:
    lines = texts.lines_of(cues, duration)
    return Texts(lines, _written(job, duration), language if lines else "")


def _written(job: Job, duration: float) -> tuple[Line, ...]:
    return () if job.screen is None else texts.cut(screens.read(job.screen), duration)


def _language(job: Job) -> str:
    """Return the language of a job's subtitle file or transcript."""
    head = None if job.sidecar is not None or job.transcript is None else head_of(job.transcript)
    return job.language if head is None else head.language


def _same(known: VideoRecord, source: Source) -> bool:
    return known.sha256 == source.sha256 and known.info.get("sidecar_sha256", "") == source.sidecar_sha256


def _words(job: Job, limits: Limits) -> Words:
    path = job.sidecar or job.transcript
    words = Words() if path is None else read_sidecar(path, limits)
    doubts = () if job.screen is None else screens.doubts(job.screen)
    return replace(words, warnings=(*words.warnings, *doubts))


def _cues(job: Job, words: Words, report: VideoReport) -> tuple[Sequence[Cue], tuple[str, ...]]:
    """Return the sidecar's cues where it has any, else those inside, else a transcript's; what to tell."""
    notes = (*job.notes, *words.warnings)
    cues: Sequence[Cue] = [cue.shifted(-report.lead) for cue in words.cues]
    if not words.cues or (job.sidecar is None and report.cues):
        cues, notes = report.cues, (*notes, *report.text_warnings)
    if beyond := sum(cue.start >= report.duration or cue.end <= 0 for cue in cues):
        notes = (*notes, f"{beyond} of its {len(cues)} subtitles lie outside its {report.duration:.0f} s")
    return cues, notes
