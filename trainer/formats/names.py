"""Names out of files that become names of files: videos, streams, encoders, architectures."""

from collections.abc import Iterable
from pathlib import Path

from engine.errors import InvalidInput

LONGEST = 200


def check_names(names: Iterable[str], what: str, where: Path) -> None:
    """Refuse (InvalidInput) names that are not one plain part of a path, whatever they are put behind.

    what: what is named, such as "video". where: the file or folder that names it.

    >>> check_names(["show_s01e02", "été 2024 (1)"], "video", Path("a"))
    """
    for name in names:
        if not _is_plain(name):
            raise InvalidInput(
                f"{where} names the {what} {name[:LONGEST]!r}, which cannot be the name of a file in a "
                "folder; give it a name without '/', '..' and control characters."
            )


def _is_plain(name: str) -> bool:
    return (
        name not in ("", ".", "..")
        and "/" not in name
        and "\\" not in name
        and all(ord(letter) >= 32 and ord(letter) != 127 for letter in name)
        and len(name.encode("utf-8", "surrogatepass")) <= LONGEST
    )
