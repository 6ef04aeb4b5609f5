"""What an ingest did, for people and for programs."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from trainer.ingest.errors import BadVideo


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that was not ingested. reason: a sentence. kind: one of errors.Kind."""

    path: str
    reason: str
    kind: str


@dataclass(slots=True)
class Summary:
    """Counts of one run; files that failed, were ingested with a warning, or are gone.

    frames: rows written. decoded_frames: pictures they were chosen from. seconds_of_video: of what was
    ingested. elapsed: seconds, from the first file opened to the last one stored.
    """

    collection: str
    encoder: str
    fingerprint: str
    ingested: int = 0
    skipped: int = 0
    frames: int = 0
    decoded_frames: int = 0
    seconds_of_video: float = 0.0
    elapsed: float = 0.0
    failed: list[Failure] = field(default_factory=list)
    warnings: list[dict[str, str]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    def fail(self, path: Path, error: BadVideo) -> None:
        """Note that a file could not be ingested."""
        self.failed.append(Failure(str(path), str(error), error.kind))

    def warn(self, path: Path, message: str) -> None:
        """Note what is odd about a file that was ingested."""
        self.warnings.append({"path": str(path), "warning": message})

    def sort(self) -> None:
        """Put failures and warnings in the order of their files; they come in the order files end."""
        self.failed.sort(key=lambda failure: failure.path)
        self.warnings.sort(key=lambda warning: warning["path"])

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object of `--json`."""
        return {
            **asdict(self),
            "frames_per_second": round(self._per_second(self.decoded_frames), 1),
            "video_seconds_per_second": round(self._per_second(self.seconds_of_video), 1),
        }

    def lines(self) -> list[str]:
        """Return the report for people."""
        speed = self._per_second(self.seconds_of_video)
        counts = f"{self.ingested} ingested, {self.skipped} unchanged, {len(self.failed)} failed"
        out = [f"failed   {failure.path}: {failure.reason}" for failure in self.failed]
        out += [f"warning  {warning['path']}: {warning['warning']}" for warning in self.warnings]
        if self.gone:
            out.append(
                f"{len(self.gone)} videos are gone from disk and stay in the collection: {_few(self.gone)}"
            )
        return [
            *out,
            f"{counts}; {self.frames} frames of {self.seconds_of_video:.0f} s of video "
            f"in {self.elapsed:.1f} s ({speed:.1f}x real time, "
            f"{self._per_second(self.decoded_frames):.0f} pictures a second)",
        ]

    def _per_second(self, amount: float) -> float:
        return amount / self.elapsed if self.elapsed else 0.0


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
