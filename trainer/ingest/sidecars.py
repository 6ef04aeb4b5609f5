"""What is in a subtitle file beside a video."""

import errno
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from engine.errors import InvalidInput
from trainer.ingest import media
from trainer.ingest.encodings import decode
from trainer.ingest.grammar import parse
from trainer.ingest.limits import DEFAULT, Limits
from trainer.ingest.scan import printable
from trainer.ingest.subtitles import LONGEST_CUE, Cue, usable

_BEGINNING = 4096


@dataclass(frozen=True, slots=True)
class Words:
    """What a subtitle file says. sha256: of its bytes, "" where they cannot be read."""

    sha256: str = ""
    cues: tuple[Cue, ...] = ()
    warnings: tuple[str, ...] = ()


def read_sidecar(path: Path, limits: Limits = DEFAULT) -> Words:
    """Read a subtitle file of any of the formats and encodings; one that cannot be used is a warning."""
    name, digest = printable(path.name), ""
    try:
        data = _bytes(path, limits.subtitle_mb)
        digest = sha256(data).hexdigest()
        text, doubt = decode(data)
        found = parse(text, suffix=path.suffix.lower(), most_cues=limits.cues)
    except OSError as error:
        return Words(warnings=(f"{name} is not used, for it cannot be read ({error.strerror})",))
    except InvalidInput as error:
        return Words(digest, warnings=(f"{name} is not used, for {error}",))
    cues = usable(found.cues)
    text = text.strip("\ufeff \t\r\n")
    # Of WebVTT blocks without times are counted; notes alone say nothing.
    says_something = text and not text.startswith("WEBVTT")
    if not found.cues and not found.untimed and not found.long and not found.wordless and says_something:
        return Words(digest, (), (f"{name} has text but no subtitle with its times; repair or remove it",))
    doubts = [f"{name}: {doubt}"] if doubt else []
    if found.untimed:
        doubts.append(f"{name}: {found.untimed} of its cues have no times that can be used and are left out")
    if found.long:
        doubts.append(
            f"{name}: {found.long} of its cues have more than {LONGEST_CUE} characters and are left out"
        )
    return Words(digest, tuple(cues), tuple(doubts))


def says_nothing(path: Path) -> bool:
    """Whether a subtitle file that can be read holds no words: it is empty, or a drone's record."""
    if _begins_with_words(path):
        return False
    words = read_sidecar(path)
    return not words.cues and not words.warnings


def _begins_with_words(path: Path) -> bool:
    """Whether the first bytes of a subtitle file say something: of most no more is read."""
    try:
        media.status(path)
        with media.reading(path) as file:
            text, _ = decode(file.read(_BEGINNING))
        # The last cue may be cut off within what is no speech.
        return bool(usable(parse(text, suffix=path.suffix.lower()).cues[:-1]))
    except (InvalidInput, OSError):
        return False


def _bytes(path: Path, most_mb: int) -> bytes:
    try:
        size = media.status(path).size
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise InvalidInput("it is no regular file; remove it or put the file itself there") from None
        raise
    if size > most_mb << 20:
        raise InvalidInput(
            f"it has {size / 2**20:.0f} MB and at most {most_mb} are read; "
            "leave out what is no speech, or raise --max-subtitle-mb"
        )
    with media.reading(path) as file:
        return file.read(most_mb << 20)
