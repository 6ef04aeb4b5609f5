"""Beam search with terms to expect: shallow fusion of a recogniser with a trie."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from trainer.speech.terms import At, Trie

S = TypeVar("S")
# Texts that are followed at once, likeliest tokens of each that are tried, and by how much less likely than
# the best a text may be, in nats.
_BEAMS, _TRIED, _BEHIND = 4, 12, 12.0
# What a byte of a term is worth, in nats. Lines of worlds that nothing was trained on chose it.
BOOST = 0.6


@dataclass(frozen=True, slots=True)
class _Text(Generic[S]):
    """A text so far. likely: log-probability; done: bytes of whole terms; at: terms it is in."""

    likely: float
    done: int
    at: At
    tokens: tuple[int, ...]
    state: S


def search(
    start: S,
    step: Callable[[S, tuple[int, ...]], tuple[NDArray[np.float32], S]],
    trie: Trie,
    end: int,
    most: int,
    boost: float = BOOST,
) -> list[int]:
    """Return the likeliest text where terms are worth more; [] where it does not end within `most` tokens.

    step: the logits (tokens,) of what follows, and the state after it. end: the token that ends a text.
    A term that is not said to its end is worth nothing, so one that only begins like a word takes nothing.
    """

    def worth(text: _Text[S]) -> float:
        return text.likely + boost * (text.done + trie.begun(text.at))

    def ended(text: _Text[S], likely: float = 0.0) -> float:
        return text.likely + likely + boost * (text.done + trie.ended(text.at))

    texts: list[_Text[S]] = [_Text(0.0, 0, (), (), start)]
    best: tuple[float, tuple[int, ...]] = -np.inf, ()
    for _ in range(most):
        longer: list[_Text[S]] = []
        for text in texts:
            logits, state = step(text.state, text.tokens)
            for token, likely in _tried(logits, trie.going(text.at)):
                if token == end:
                    best = max(best, (ended(text, likely), text.tokens))
                    continue
                at, done = trie.after(text.at, token)
                tokens = *text.tokens, token
                longer.append(_Text(text.likely + likely, text.done + done, at, tokens, state))
        longer.sort(key=worth, reverse=True)
        texts = [text for text in longer[:_BEAMS] if worth(text) > worth(longer[0]) - _BEHIND]
        if best[0] >= worth(texts[0]):
            return list(best[1])
    # What goes on and on, likelier than all that ended, repeats itself, as on music.
    return list(best[1]) if best[0] >= max(map(ended, texts)) else []


def _tried(logits: NDArray[np.float32], going: NDArray[np.int64]) -> list[tuple[int, float]]:
    """Return the likeliest tokens, and those that go on in a term unless they are far less likely.

    Each with the logarithm of its probability.
    """
    top = float(logits.max())
    likely = logits - (top + np.log(np.exp(logits - top).sum()))
    first = np.argpartition(-likely, _TRIED)[:_TRIED]
    near = going[likely[going] > likely[first].max() - _BEHIND]
    return [(int(token), float(likely[token])) for token in np.union1d(first, near)]
