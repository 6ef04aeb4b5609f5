"""Search for the likeliest text with terms to expect: shallow fusion of a recogniser with a trie."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from trainer.speech.terms import At, Trie

S = TypeVar("S")
# Texts that are followed at once, and by how much less likely than the best a text may be, in nats.
_BEAMS, _BEHIND = 4, 12.0
# What a byte of a term is worth, in nats. Lines of worlds that nothing was trained on chose it.
BOOST = 0.6


@dataclass(frozen=True, slots=True)
class _Text(Generic[S]):
    """A text so far. likely: log-probability; done: bytes of whole terms; at: terms it is in.

    plain: each of its tokens is the likeliest, as without terms.
    """

    likely: float
    done: int
    at: At
    tokens: tuple[int, ...]
    state: S
    plain: bool


def search(
    start: S,
    step: Callable[[S, tuple[int, ...]], tuple[NDArray[np.float32], S]],
    trie: Trie,
    end: int,
    most: int,
    boost: float = BOOST,
) -> list[int]:
    """Return what is heard with terms; [] where that does not end within `most` tokens.

    step: the logits (tokens,) of what follows, and the state after it. end: the token that ends a text.
    A text is the likeliest token after each, but where a term can begin or go on. One with no whole term is
    what is heard without terms: the likeliest of all texts has fewer stops and capitals, and fewer words.
    """

    def worth(text: _Text[S]) -> float:
        return text.likely + boost * (text.done + trie.begun(text.at))

    texts, best = [_Text(0.0, 0, (), (), start, True)], (-np.inf, tuple[int, ...]())
    for _ in range(most):
        longer: list[_Text[S]] = []
        for text in texts:
            logits, state = step(text.state, text.tokens)
            likely = _log_softmax(logits)
            first = int(likely.argmax())
            for token in _tried(likely, first, trie.going(text.at)):
                chance, plain = text.likely + float(likely[token]), text.plain and token == first
                if token == end:
                    if (done := text.done + trie.ended(text.at)) or plain:
                        best = max(best, (chance + boost * done, text.tokens))
                    continue
                at, done = trie.after(text.at, token)
                longer.append(_Text(chance, text.done + done, at, (*text.tokens, token), state, plain))
        longer.sort(key=worth, reverse=True)
        if not longer or best[0] >= worth(longer[0]):
            return list(best[1])
        least = worth(longer[0]) - _BEHIND
        texts = [text for text in longer[:_BEAMS] if text.plain or worth(text) > least]
        texts += [text for text in longer[_BEAMS:] if text.plain]
    return [] if any(text.plain for text in texts) else list(best[1])


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    shifted = logits - logits.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()))


def _tried(likely: NDArray[np.float32], first: int, going: NDArray[np.int64]) -> set[int]:
    """Return the likeliest token, and those that go on in a term unless they are far less likely."""
    return {first, *going[likely[going] > likely[first] - _BEHIND].tolist()}
