"""Resource limits of a file: pixels, duration, memory, whatever its header claims."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from trainer.ingest.errors import BadVideo

# At one row a second eleven days: more is a damaged clock or a slip in --fps.
MOST_ROWS = 1_000_000
# What timestamps may span: this, and so much for each picture and each byte (8 kbit/s, less than speech).
FREE_SECONDS = 3600
SECONDS_A_PICTURE = 60
SECONDS_A_BYTE = Fraction(1, 1000)
# Pictures a decoder holds, beside one a thread, and bytes of a pixel, at most: 10 bits in 4:2:0.
BYTES_A_PIXEL = 3
DECODER_BYTES = 256 << 20
MOST_THREADS = 16

# Called with the pixels of a picture before a file's first is decoded; may wait.
Admit = Callable[[int], None]


def no_wait(_: int) -> None:
    """Admit every file at once."""


@dataclass(frozen=True, slots=True)
class Limits:
    """pixels: a picture. hours: a video, None = by its pictures and bytes. subtitle_mb: a subtitle file."""

    pixels: int = 64 << 20
    hours: float | None = None
    subtitle_mb: int = 16

    @property
    def cues(self) -> int:
        """Most cues of a subtitle file: 100,000 in the 16 MB of the default."""
        return 6250 * self.subtitle_mb

    @property
    def options(self) -> dict[str, str]:
        """FFmpeg's options: local files only, even where a playlist names an address; no larger picture.

        Decoders pad pictures and count that.
        """
        padded = self.pixels + self.pixels // 8 + (1 << 16)
        return {"protocol_whitelist": "file", "max_pixels": str(padded)}

    def check_size(self, width: int, height: int) -> None:
        """Raise BadVideo for pictures that are too large to decode."""
        if width * height > self.pixels:
            raise too_many_pixels(width, height, self.pixels)

    def check_rows(
        self, rows: int, fps: Fraction, pictures: int, size: int, expected: float | None = None
    ) -> None:
        """Raise BadVideo for more rows than a file of so many pictures and bytes should fill.

        expected: seconds that the file announces, for the message.
        """
        if rows > MOST_ROWS:
            raise BadVideo("too-large", f"it would fill {rows:,} rows (limit {MOST_ROWS:,}); lower --fps")
        allowed = FREE_SECONDS + SECONDS_A_PICTURE * pictures + SECONDS_A_BYTE * size
        if self.hours is not None:
            allowed = Fraction(self.hours) * 3600
        if rows > allowed * fps + 1:
            hours = max(float(rows / fps), expected or 0) / 3600
            basis = "" if self.hours is not None else f" for {pictures} pictures in {size:,} bytes"
            raise BadVideo(
                "too-large",
                f"its timestamps reach {hours:.1f} hours, more than {float(allowed / 3600):.1f}{basis}; "
                f"if they are right, pass --max-hours {int(hours) + 1}",
            )


DEFAULT = Limits()


def too_many_pixels(width: int, height: int, limit: int) -> BadVideo:
    """Say that pictures are too large to decode."""
    return BadVideo(
        "too-large",
        f"its pictures have {width} x {height} pixels, more than {limit:,}; if the file can be trusted, pass "
        f"--max-pixels {width * height}",
    )


def decoder_threads(wanted: int, pixels: int) -> int:
    """Return how many threads a decoder gets: each holds a picture. wanted: 0 = as many as are allowed."""
    most = min(MOST_THREADS, max(1, DECODER_BYTES // max(1, BYTES_A_PIXEL * pixels)))
    return min(wanted, most) if wanted else most


class Budget:
    """A semaphore with weights: a thread that takes more than is left waits; alone it gets any amount."""

    def __init__(self, total: int) -> None:
        """total: what may be taken by all together."""
        self._total = total
        self._taken = 0
        self._stopped = False
        self._changed = threading.Condition()

    def take(self, amount: int) -> bool:
        """Wait until there is room; False where `stop` ended the wait."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopped or not self._taken or self._taken + amount <= self._total
            )
            self._taken += amount
            return not self._stopped

    def give(self, amount: int) -> None:
        """Give back what was taken."""
        with self._changed:
            self._taken -= amount
            self._changed.notify_all()

    def stop(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
