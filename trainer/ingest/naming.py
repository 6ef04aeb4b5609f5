"""Give every file its video id."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from trainer.ingest.errors import BadVideo
from trainer.ingest.scan import Found


def name_videos(
    found: Sequence[Found], known: Mapping[str, str]
) -> tuple[dict[str, Found], list[tuple[Found, BadVideo]]]:
    """Return id -> file, and the files that cannot have one.

    known: id -> uri of the videos in the collection. A file keeps the id it has; a new one is called by its
    stem, or by its relative path where the stem is shared with another file, here or in the collection.
    An id is free again when its file is gone: that is a file that was moved or replaced.
    """
    ids_by_uri = {uri: video for video, uri in known.items()}
    stems = Counter(file.stem for file in found)
    named: dict[str, Found] = {}
    fresh: list[Found] = []
    for file in found:
        if (kept := ids_by_uri.get(file.path.as_uri())) is not None:
            named[kept] = file
        else:
            fresh.append(file)
    clashes = []
    for file in fresh:
        names = [file.stem, file.relative] if stems[file.stem] == 1 else [file.relative]
        name = next((n for n in names if n not in named and not _taken(known.get(n))), None)
        if name is None:
            other = named[names[-1]].path if names[-1] in named else known[names[-1]]
            clashes.append(
                (file, BadVideo("id-clash", f"its id {names[-1]!r} belongs to {other}; rename it"))
            )
        else:
            named[name] = file
    return dict(sorted(named.items(), key=lambda item: item[1].path)), clashes


def local_path(uri: str) -> Path | None:
    """Return the path of a file:// URI, None for another kind."""
    parts = urlsplit(uri)
    return Path(unquote(parts.path, errors="surrogateescape")) if parts.scheme == "file" else None


def _taken(uri: str | None) -> bool:
    """Whether a video of this uri is in the collection and not known to be gone."""
    if uri is None:
        return False
    path = local_path(uri)
    return path is None or path.exists()
