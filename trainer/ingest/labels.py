"""Labels and dates that people write beside videos, as JSON or CSV.

    NAME.json          {"labels": ["interview", "rome"], "date": "2024-05-01"}       of NAME.mp4 alone
    NAME.csv           label,date in the first line; a label a line
    metadata.json      {"talk.mp4": {"labels": [...]}, ...}                          of files beside it
    metadata.csv       file_name,labels,date in the first line; labels with ";" between

What is said of a video in several of them is joined; its own file's date counts before the folder's.
"""

import csv
import io
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.errors import InvalidInput
from engine.facts import LONGEST_LABEL, MOST_LABELS
from engine.files import BadJson, read_json
from engine.printable import printable
from trainer.ingest import media

_MOST_BYTES = 16 << 20
_FOLDER = "metadata"
_KEYS = {"labels", "date"}


@dataclass(frozen=True, slots=True)
class Told:
    """What is written of a video. labels: sorted. date: seconds since 1970, None where none is told."""

    labels: tuple[str, ...] = ()
    date: float | None = None
    warnings: tuple[str, ...] = ()


class Labels:
    """Finds what is written of videos; a folder's file is read once."""

    def __init__(self) -> None:
        self._folders: dict[Path, tuple[dict[str, list[Told]], list[str]]] = {}

    def of(self, video: Path) -> Told:
        """Return the labels and the date of a video; what cannot be used is a warning."""
        folder, doubts = self._folder(video.parent)
        found = list(folder.get(_key(video.name), []))
        own = video.with_suffix(".json"), video.with_suffix(".csv")
        warnings = list(doubts)
        for path in (path for path in own if path.stem != _FOLDER and path != video):
            try:
                found += [told for _, told in _entries(path, video.name)]
            except InvalidInput as error:
                warnings.append(f"{printable(path.name)} is not used, for {error}")
        labels = sorted({label for told in found for label in told.labels})
        if len(labels) > MOST_LABELS:
            warnings.append(f"of its {len(labels)} labels the first {MOST_LABELS} are kept")
        dates = [told.date for told in found if told.date is not None]
        return Told(tuple(labels[:MOST_LABELS]), dates[-1] if dates else None, tuple(warnings))

    def _folder(self, folder: Path) -> tuple[dict[str, list[Told]], list[str]]:
        if folder not in self._folders:
            by_name: dict[str, list[Told]] = {}
            doubts: list[str] = []
            for path in (folder / f"{_FOLDER}.json", folder / f"{_FOLDER}.csv"):
                try:
                    for name, told in _entries(path, None):
                        by_name.setdefault(_key(name), []).append(told)
                except InvalidInput as error:
                    doubts.append(f"{path.name} is not used, for {error}")
            self._folders[folder] = by_name, doubts
        return self._folders[folder]


def _entries(path: Path, video: str | None) -> Iterator[tuple[str, Told]]:
    """Yield (file's name, what is told of it). video: whom the file is about alone; None: it says."""
    try:
        if not media.exists(path):
            return
        with media.here(path, _MOST_BYTES) as local:
            rows = _from_json(local, video) if path.suffix == ".json" else _from_csv(local, video)
            yield from [(name, _told(labels, date)) for name, labels, date in rows]
    except OSError as error:
        raise InvalidInput(f"it cannot be read ({error.strerror})") from None


def _from_json(path: Path, video: str | None) -> Iterator[tuple[str, Any, Any]]:
    try:
        found = read_json(path, dict, _MOST_BYTES)
    except BadJson as error:
        raise InvalidInput(f"{error.why}; write it anew") from None
    for name, about in ({video: found} if video is not None else found).items():
        if not isinstance(about, Mapping):
            raise InvalidInput(f'{name!r} is no object; write {{"labels": [...], "date": "2024-05-01"}}')
        # A file of another program, such as a downloader's, may have the video's name.
        if video is None or _KEYS & set(about):
            yield str(name), about.get("labels", []), about.get("date")


def _from_csv(path: Path, video: str | None) -> Iterator[tuple[str, Any, Any]]:
    if path.stat().st_size > _MOST_BYTES:
        raise InvalidInput(f"it has more than {_MOST_BYTES >> 20} MB")
    try:
        rows = _rows(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InvalidInput("it is not UTF-8 text; save it as UTF-8") from None
    except csv.Error as error:
        raise InvalidInput(f"it is no CSV ({error})") from None
    columns = set(rows[0]) if rows else set()
    if video is None and rows and "file_name" not in columns:
        raise InvalidInput("its first line names no column file_name")
    # A table of another program, such as a drone's, may have the video's name, and a column of dates.
    if video is not None and not columns & {"labels", "label"} and columns != {"date"}:
        return
    for row in rows:
        labels = row.get("labels") or row.get("label") or ""
        yield (
            row["file_name"] or "" if video is None else video,
            labels.split(";"),
            (row.get("date") or "").strip() or None,
        )


def _rows(text: str) -> list[dict[str, str]]:
    """Return the rows of a CSV. Spreadsheets of many countries write semicolons, and one names them first."""
    first, _, rest = text.partition("\n")
    if first.startswith("sep="):
        first, text = rest.partition("\n")[0], rest
    delimiter = next((char for char in first if char in ",;\t"), ",")
    reader = csv.DictReader(io.StringIO(text), strict=True, delimiter=delimiter)
    reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
    return list(reader)


def _told(labels: Any, date: Any) -> Told:
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise InvalidInput('its labels are no list of texts; write "labels": ["interview"]')
    return Told(tuple(_checked(labels)), None if date is None else _seconds(date))


def _checked(labels: Iterable[str]) -> Iterator[str]:
    for label in (unicodedata.normalize("NFC", label.strip()) for label in labels):
        if len(label) > LONGEST_LABEL or printable(label) != label:
            shown = printable(label[:30])
            raise InvalidInput(
                f"label {shown!r} has more than {LONGEST_LABEL} characters, or control characters: correct it"
            )
        if label:
            yield label


def _seconds(date: Any) -> float:
    try:
        found = datetime.fromisoformat(date)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput(f"{date!r:.40} is no date; write 2024-05-01 or 2024-05-01T18:30:00Z") from None


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name)
