"""What a rendered world says of its videos: events with captions, attributes and spoken sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import InvalidInput, NotFound, argument
from trainer.formats.lines import read_lines

# Attributes that a single frame cannot show.
_UNSEEN = ("motion", "times", "facts")


@dataclass(frozen=True)
class CaptionedEvent:
    """One event: `[start, end)` seconds of a video, what is said of it and what it is.

    `still` says only what one frame shows (the caption where there is no such text); `subtitle` is a sentence
    spoken meanwhile and `spoken` one that asks for it. `attributes` are flat: {"other.colour": "red"}.
    """

    video: str
    split: str
    start: float
    end: float
    caption: str
    still: str
    attributes: Mapping[str, str]
    subtitle: str | None = None
    spoken: str | None = None

    @property
    def seen(self) -> dict[str, str]:
        """What one frame shows."""
        return {key: value for key, value in self.attributes.items() if key.split(".")[0] not in _UNSEEN}

    @property
    def facts(self) -> dict[str, str]:
        """What is said."""
        return {key: value for key, value in self.attributes.items() if key.startswith("facts.")}

    @property
    def told(self) -> dict[str, str]:
        """What a caption says: all but what is spoken."""
        return {key: value for key, value in self.attributes.items() if not key.startswith("facts.")}

    @property
    def thing(self) -> dict[str, str]:
        """What the only kind of thing in the event is; nothing where there are two kinds."""
        paired = any(key.startswith("other.") for key in self.seen)
        return {} if paired else {key: value for key, value in self.seen.items() if key != "background"}


def load_events(world: Path) -> list[CaptionedEvent]:
    """Read WORLD/captions.jsonl. Raises NotFound where there is no world, InvalidInput for a bad line."""
    path = world / "captions.jsonl"
    if not path.is_file():
        raise NotFound(f"{path} is missing: render a world with `spr corpus render {argument(world)}`.")
    events = []
    for where, entry in read_lines(path):
        try:
            events.append(_event(entry))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidInput(f"{where} is not a caption ({error!r}); render again.") from error
    return events


def _event(entry: Mapping[str, Any]) -> CaptionedEvent:
    start, end = float(entry["start"]), float(entry["end"])
    if not 0 <= start < end:
        raise ValueError(f"[{start}, {end})")
    return CaptionedEvent(
        video=entry["video"],
        split=entry["split"],
        start=start,
        end=end,
        caption=entry["caption"],
        still=entry.get("still") or entry["caption"],
        attributes=flat(entry.get("attributes", {})),
        subtitle=entry.get("subtitle"),
        spoken=entry.get("spoken"),
    )


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return a tree of attributes as one level of strings.

    >>> flat({"colour": "red", "other": {"number": 2}})
    {'colour': 'red', 'other.number': '2'}
    """
    leaves: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            leaves |= flat(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = str(value)
    return leaves
