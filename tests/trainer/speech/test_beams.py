"""Beam search, and the words that it finds beside those of the likeliest text."""

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from trainer.ingest.subtitles import Cue
from trainer.speech.beams import search, with_others

BEGIN, END, MOST = 0, 1, 4


class Chances:
    """The chance of each next token after the last one, drawn once; rows as a decoder keeps them."""

    def __init__(self, seed: int) -> None:
        self.logits = np.random.default_rng(seed).normal(size=(5, 5)).astype(np.float32)
        self.logits[:, BEGIN] = -50
        self.told: list[list[int]] = [[]]

    def step(self, rows: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.float32]:
        self.told = [
            [*self.told[row], token] for row, token in zip(rows.tolist(), last.tolist(), strict=True)
        ]
        return self.logits[[told[-1] for told in self.told]]

    def of(self, tokens: tuple[int, ...]) -> float:
        """Return the mean log chance of a text and its end."""
        each = self.logits - np.log(np.exp(self.logits).sum(axis=1, keepdims=True))
        steps = itertools.pairwise([BEGIN, *tokens, END])
        return math.fsum(float(each[one, other]) for one, other in steps) / (len(tokens) + 1)


@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_finds_the_likeliest_of_all_texts(seed: int) -> None:
    every = [text for size in range(MOST) for text in itertools.product((2, 3, 4), repeat=size)]
    chances = Chances(seed)
    # A beam with room for all that could go on leaves none out.
    found = search(chances.step, BEGIN, END, 1000, MOST)
    assert [tuple(tokens) for tokens in found if BEGIN not in tokens] == sorted(
        every, key=chances.of, reverse=True
    )


def test_a_beam_of_one_takes_the_likeliest_token_each_time() -> None:
    chances, token, greedy = Chances(1), BEGIN, list[int]()
    while (token := int(chances.logits[token].argmax())) != END and len(greedy) < MOST:
        greedy.append(token)
    assert search(chances.step, BEGIN, END, 1, MOST) == ([greedy] if len(greedy) < MOST else [])


def test_other_words_go_with_the_cue_in_whose_place_they_are() -> None:
    cues = [Cue(0.0, 1.0, "Then you'll see that."), Cue(1.0, 2.0, "Ten miles off.")]
    texts = [
        "Then you'll see that. Ten miles off.",
        "Then Juliet sees that. Ten, miles often.",
        "Did you'll see that ten miles off Juliet?",
    ]
    assert [cue.others for cue in with_others(cues, texts)] == ["juliet sees did", "often juliet"]
    assert with_others(cues, texts[:1]) == cues
    assert with_others([], texts) == []
