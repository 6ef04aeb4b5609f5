"""What timelines of editors are laid out from: moments one behind the other, a sequence a frame rate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spr_gateway.exports.excerpts import Excerpt
from spr_gateway.exports.tables import title
from spr_gateway.exports.timecode import Counting


@dataclass(frozen=True, slots=True)
class Shot:
    """An excerpt on a timeline, from its frame `at` on."""

    excerpt: Excerpt
    at: int
    title: str


@dataclass(frozen=True, slots=True)
class Reel:
    """A sequence: shots of one frame rate, so that no editor has to convert it."""

    name: str
    counting: Counting
    shots: tuple[Shot, ...]

    @property
    def frames(self) -> int:
        """How long it is."""
        return sum(shot.excerpt.frames for shot in self.shots)

    @property
    def largest(self) -> tuple[int, int]:
        """Width and height of its largest picture."""
        films = [shot.excerpt.footage for shot in self.shots]
        return max(((film.width, film.height) for film in films), key=lambda size: size[0] * size[1])


def laid_out(query: str, excerpts: Sequence[Excerpt]) -> Iterator[Reel]:
    """Yield a sequence for each way of counting frames, its moments in the answer's order."""
    words = " ".join(query.split())
    kinds = dict.fromkeys(each.footage.counting for each in excerpts)
    for counting in kinds:
        shots, at = list[Shot](), 0
        for each in excerpts:
            if each.footage.counting == counting:
                shots.append(Shot(each, at, title(query, each.moment)))
                at += each.frames
        rate = f" ({float(counting.rate):.5g} fps{' drop-frame' if counting.drop else ''})"
        yield Reel(words + rate * (len(kinds) > 1), counting, tuple(shots))
