"""Voice activity: the parts of a sound in which somebody speaks, so that silence costs a recogniser nothing.

The detector is WebRTC's, on frames of 30 ms. Speech begins where most of the last 0.3 s is voiced, and ends
where nearly all of 0.6 s is not.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.errors import Unavailable
from trainer.speech.sound import RATE, Chunk

if TYPE_CHECKING:
    import webrtcvad

INSTALL = "pip install 'spr-engine[speech]'"

FRAME = RATE * 30 // 1000
# 0 lets most pass for speech, 3 least.
_STRICTNESS = 2
_BEGIN, _BEGIN_SHARE = 10, 0.7
_END, _END_SHARE = 20, 0.9
# Frames, 24 s: Whisper reads windows of 30 s.
LONGEST = 800
# Of a sentence that is too long: cut at the quietest of so many last frames.
_CUT_AMONG = 160


@dataclass(frozen=True, slots=True)
class Utterance:
    """Speech without a longer pause. start: seconds, as of its chunks. samples: (n,) int16."""

    start: float
    samples: NDArray[np.int16]

    @property
    def end(self) -> float:
        """Seconds."""
        return self.start + len(self.samples) / RATE


def utterances(chunks: Iterable[Chunk]) -> Iterator[Utterance]:
    """Yield what is spoken, by time, each at most 24 s; Unavailable where the detector is not installed."""
    detector = _detector()
    for start, frames in _runs(chunks):
        yield from _speech(start, frames, detector)


def check_installed() -> None:
    """Raise Unavailable where the detector is not installed."""
    _detector()


def _detector() -> "webrtcvad.Vad":
    try:
        import webrtcvad
    except ImportError:
        raise Unavailable(f"speech recognition is not installed: {INSTALL}") from None
    return webrtcvad.Vad(_STRICTNESS)


def _runs(chunks: Iterable[Chunk]) -> Iterator[tuple[float, Iterator[NDArray[np.int16]]]]:
    """Yield each stretch of sound without a gap: its start and its frames, to be read before the next."""
    source = iter(chunks)
    ahead = next(source, None)

    def frames() -> Iterator[NDArray[np.int16]]:
        nonlocal ahead
        rest = np.empty(0, np.int16)
        while ahead is not None:
            rest, ends = np.concatenate([rest, ahead.samples]), ahead.start + len(ahead.samples) / RATE
            whole = len(rest) // FRAME * FRAME
            yield from rest[:whole].reshape(-1, FRAME)
            rest, ahead = rest[whole:], next(source, None)
            if ahead is not None and abs(ahead.start - ends) > 0.001:
                return

    while ahead is not None:
        yield ahead.start, frames()


def _speech(
    start: float, frames: Iterator[NDArray[np.int16]], detector: "webrtcvad.Vad"
) -> Iterator[Utterance]:
    held: list[NDArray[np.int16]] = []
    voiced: deque[bool] = deque(maxlen=_BEGIN)
    before: deque[NDArray[np.int16]] = deque(maxlen=_BEGIN)
    speaking, number = False, 0
    for frame in frames:
        number += 1
        voiced.append(detector.is_speech(frame.tobytes(), RATE))
        if not speaking:
            before.append(frame)
            if len(voiced) == _BEGIN and sum(voiced) >= _BEGIN_SHARE * _BEGIN:
                speaking, held, voiced = True, list(before), deque(voiced, maxlen=_END)
            continue
        held.append(frame)
        if len(voiced) == _END and sum(voiced) <= (1 - _END_SHARE) * _END:
            yield _utterance(start, number, held)
            speaking, voiced = False, deque(maxlen=_BEGIN)
            before.clear()
        elif len(held) >= LONGEST:
            cut = len(held) - _CUT_AMONG + _quietest(held[-_CUT_AMONG:])
            yield _utterance(start, number - len(held) + cut, held[:cut])
            held = held[cut:]
    if speaking and held:
        yield _utterance(start, number, held)


def _utterance(start: float, number: int, frames: list[NDArray[np.int16]]) -> Utterance:
    """Return the frames up to `number` of a stretch that began at `start`."""
    return Utterance(start + (number - len(frames)) * FRAME / RATE, np.concatenate(frames))


def _quietest(frames: list[NDArray[np.int16]]) -> int:
    """Return the frame, not the first, of least energy."""
    energy = [float(np.square(frame, dtype=np.float32).sum()) for frame in frames[1:]]
    return 1 + int(np.argmin(energy))
