"""Values of files as frozen dataclasses: what fits, and what is refused by file and key."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from engine.errors import InvalidInput
from engine.values import Count, filled


@dataclass(frozen=True)
class Part:
    width: int = 4


@dataclass(frozen=True)
class Shape:
    dim: int
    rate: float = 0.5
    mode: Literal["soft", "hard"] = "soft"
    threshold: float | None = None
    sizes: tuple[int, ...] = (1, 2)
    part: Part = Part()
    parts: tuple[Part, ...] = ()
    at_once: Count = 1
    folder: Path = Path()


def test_filled_takes_json_values() -> None:
    values = {"dim": 1, "rate": 2, "sizes": [3], "threshold": None, "mode": "hard", "part": {"width": 7}}
    assert filled(Shape, values, "f") == Shape(1, 2.0, "hard", None, (3,), Part(7))
    assert filled(Shape, {"dim": 1, "folder": "a/b"}, "f").folder == Path("a/b")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dim": 1, "dims": 2}, r"f\.toml: unknown key dims; known are at_once, dim"),
        ({"dim": 1, "part": {"depth": 2}}, r"f\.toml: unknown key part\.depth"),
        ({"dim": "1"}, r"f\.toml: dim = '1' is not of type int"),
        ({"dim": True}, r"f\.toml: dim = True is not of type int"),
        ({"dim": 1, "rate": "5e-4"}, r"f\.toml: rate = '5e-4' is not of type float"),
        ({"dim": 1, "mode": "loud"}, r"f\.toml: mode = 'loud' is not one of 'soft', 'hard'"),
        ({"dim": 1, "part": 3}, r"f\.toml: part = 3 is not of type Part"),
        ({"dim": 1, "sizes": [1, "2"]}, r"f\.toml: sizes\[1\] = '2' is not of type int"),
        ({"dim": 1, "parts": {"width": 3}}, r"f\.toml: parts is one table, not a list; in TOML"),
        ({"dim": 1, "parts": [{}, {"width": "3"}]}, r"f\.toml: parts\[1\]\.width = '3' is not of type int"),
        ({"dim": 1, "at_once": -1}, r"f\.toml: at_once = -1 is below 0"),
        ({"dim": 1, "rate": float("nan")}, r"f\.toml: rate = nan is not finite"),
        ({"rate": 1.0}, r"f\.toml: Shape lacks 'dim'"),
    ],
)
def test_filled_names_file_and_key(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        filled(Shape, values, "f.toml")
