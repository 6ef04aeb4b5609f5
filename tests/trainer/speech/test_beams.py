"""The beam search that terms steer: what is heard with them, and without."""

import numpy as np
import pytest
from numpy.typing import NDArray

from trainer.speech import beams
from trainer.speech.beams import search
from trainer.speech.terms import At, Trie

PIECES = [b"", b" an", b"na", b" ann", b"a", b" is", b".", *(f" w{number}".encode() for number in range(8))]
END = 0


class Said:
    """A model of no state, of random logits by what was said."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, state: None, tokens: tuple[int, ...]) -> tuple[NDArray[np.float32], None]:
        rng = np.random.default_rng([self.seed, len(tokens), *tokens])
        return (2 * rng.standard_normal(len(PIECES))).astype(np.float32), None

    def likely(self, tokens: tuple[int, ...]) -> float:
        logits, _ = self(None, tokens[:-1])
        wide = logits.astype(np.float64)
        return float(wide[tokens[-1]] - np.log(np.exp(wide).sum()))

    def plain(self, most: int) -> tuple[int, ...]:
        text: tuple[int, ...] = ()
        while len(text) < most and (not text or text[-1] != END):
            text = (*text, int(self(None, text)[0].argmax()))
        return text


@pytest.mark.parametrize("seed", range(30))
def test_the_likeliest_text_with_a_term_is_found_or_what_is_heard_without(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("_BEAMS", 10_000), ("_BEHIND", np.inf)):
        monkeypatch.setattr(beams, name, value)
    said, trie, most = Said(seed), Trie(["Anna", "is"], PIECES), 4
    plain = said.plain(most)
    found: dict[tuple[int, ...], float] = {}
    open_: list[tuple[tuple[int, ...], At, float]] = [((), (), 0.0)]
    while open_:
        text, at, worth = open_.pop()
        for token in {int(said(None, text)[0].argmax()), *trie.going(at).tolist()}:
            longer = (*text, token)
            likely = worth + said.likely(longer)
            if token == END:
                if longer == plain or likely + trie.ended(at) > sum(map(said.likely, _heads(longer))):
                    found[longer] = likely + trie.ended(at)
            elif len(longer) < most:
                after, done = trie.after(at, token)
                open_.append((longer, after, likely + done))
    heard = search(None, said, trie, END, most, 1.0)
    if plain[-1] == END:
        assert (*heard, END) == max(found, key=lambda text: found[text])
        assert search(None, said, Trie((), PIECES), END, most) == list(plain[:-1])
    else:
        assert heard == [] or found[(*heard, END)] == max(found.values())


def _heads(text: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [text[: at + 1] for at in range(len(text))]


def test_a_term_that_is_not_said_to_its_end_is_worth_nothing() -> None:
    def step(state: None, tokens: tuple[int, ...]) -> tuple[NDArray[np.float32], None]:
        # " ann" and then "a", which is three nats less likely than "."; " is" before all.
        logits = np.full(len(PIECES), -20, np.float32)
        follow = {(): {5: 0.0, 3: -1.5}, (3,): {6: 0.0, 4: -3.0}, (5,): {6: 0.0}}.get(tokens, {END: 0.0})
        for token, logit in follow.items():
            logits[token] = logit
        return logits, None

    assert search(None, step, Trie((), PIECES), END, 5) == [5, 6]
    assert search(None, step, Trie(["Anna"], PIECES), END, 5, boost=1.0) == [3, 4]
    # Half of it is said more easily than the whole: it is not taken for what was not said.
    assert search(None, step, Trie(["Annabella"], PIECES), END, 5, boost=1.0) == [5, 6]
    assert search(None, step, Trie(["Anna"], PIECES), END, 1) == []


def test_what_goes_on_and_on_is_no_text_although_another_ends() -> None:
    def step(state: None, tokens: tuple[int, ...]) -> tuple[NDArray[np.float32], None]:
        logits = np.full(len(PIECES), -20, np.float32)
        logits[5], logits[END] = 0.0, -6.0
        return logits, None

    assert search(None, step, Trie(["Anna"], PIECES), END, 20) == []


def test_a_term_that_is_only_begun_takes_nothing_from_a_text_that_ends_in_time() -> None:
    def step(state: None, tokens: tuple[int, ...]) -> tuple[NDArray[np.float32], None]:
        # " is" and the end, or " ann" and on in a name; two tokens at most.
        logits = np.full(len(PIECES), -20, np.float32)
        follow = {(): {5: 0.0, 3: -1.0}, (5,): {END: 0.0}}.get(tokens, {4: 0.0})
        for token, logit in follow.items():
            logits[token] = logit
        return logits, None

    assert search(None, step, Trie(["Annabella"], PIECES), END, 2, boost=1.0) == [5]


def test_a_term_that_begins_less_likely_than_much_else_is_followed_until_a_text_is_best() -> None:
    steps: list[tuple[int, ...]] = []

    def step(state: None, tokens: tuple[int, ...]) -> tuple[NDArray[np.float32], None]:
        # " is" first and " ann" last of all pieces; "a" and then the end follow " ann".
        steps.append(tokens)
        logits = np.full(len(PIECES), -20 if tokens else -1, np.float32)
        for token, logit in {(): {5: 0.0, 3: -4.0}, (3,): {4: 0.0}}.get(tokens, {END: 0.0}).items():
            logits[token] = logit
        return logits, None

    assert search(None, step, Trie((), PIECES), END, 50, boost=1.0) == [5]
    assert search(None, step, Trie(["Anna"], PIECES), END, 50, boost=1.0) == [3, 4]
    assert max(map(len, steps)) <= 3
