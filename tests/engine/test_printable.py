"""Names that a terminal would obey are shown in a visible form; all others stay as they are."""

import os

import pytest

from engine.printable import printable


@pytest.mark.parametrize(
    "name", ["Cooking pasta [dQw4w9WgXcQ]", "café", "映画", "a\\b", "👩\u200d🚀", "[red]not markup[/red]", ""]
)
def test_what_is_harmless_stays(name: str) -> None:
    assert printable(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("esc\x1b[31mred", r"esc\x1b[31mred"),
        ("two\nlines\r\t", r"two\nlines\r\t"),
        ("nul\0", r"nul\x00"),
        ("c1\x9b31m", r"c1\x9b31m"),
        ("line\u2028paragraph\u2029", r"line\u2028paragraph\u2029"),
        ("gpj.\u202efdp", r"gpj.\u202efdp"),
        (os.fsdecode(b"caf\xe9"), r"caf\udce9"),
    ],
)
def test_what_a_terminal_obeys_is_shown(name: str, shown: str) -> None:
    assert printable(name) == shown
    assert printable(name).encode()
