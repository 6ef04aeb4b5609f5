"""Names as they are shown and compared: no line breaks, no control sequences, one Unicode form."""

import os
import unicodedata
from pathlib import Path

# Control characters, halves of surrogate pairs, line and paragraph separators.
_HIDDEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Bidirectional controls reorder what follows: a name could pass for another.
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(name: str) -> str:
    r"""Return a name with control characters as escapes, such as `\n` or `\x1b`.

    Square brackets stay as they are: print the result as plain text (for rich: `rich.text.Text`, no markup).

    >>> print(printable("two\nlines [red]\x1b[31m"))
    two\nlines [red]\x1b[31m
    """
    return "".join(_shown(character) for character in name)


def in_utf8(path: Path | str) -> str:
    """Return a path as a text that every file can hold: bytes that are no UTF-8 are shown as such."""
    return os.fsencode(path).decode(errors="backslashreplace")


def in_one_form(name: str) -> str:
    """Return a name in one Unicode form: file systems have another than keyboards, and both look the same."""
    return unicodedata.normalize("NFC", name)


def same_name(one: str, other: str) -> bool:
    """Whether two names look the same, whatever their Unicode forms."""
    return in_one_form(one) == in_one_form(other)


def _shown(character: str) -> str:
    if character in _BIDI or unicodedata.category(character) in _HIDDEN:
        return character.encode("unicode_escape", "surrogatepass").decode("ascii")
    return character
