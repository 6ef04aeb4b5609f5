"""Beam search: the texts that a recogniser nearly wrote in place of the one that it did."""

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from trainer.ingest.subtitles import Cue

# Given the row of the step before that each hypothesis goes on from, (n,), and its last token, (n,): the
# logits of what comes next, (n, tokens).
Step = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]
_EDGE = re.compile(r"^\W+|\W+$")


def search(step: Step, begin: int, end: int, width: int, most: int) -> list[list[int]]:
    """Return up to `width` token lists, the likeliest a token first; of width 1, the likeliest token each.

    begin, end: tokens. most: steps after which what has not ended is given up.
    """
    live, done = [(0.0, list[int]())], list[tuple[float, list[int]]]()
    rows, last = np.zeros(1, np.int64), np.array([begin])
    for _ in range(most):
        logits = step(rows, last).astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        sums = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        sums += np.array([[score] for score, _ in live])
        # As many may end and as many go on.
        best = np.argsort(-sums, axis=None, kind="stable")[: 2 * width if width > 1 else 1]
        grown, before = list[tuple[float, list[int]]](), list[int]()
        for row, token in zip(*np.divmod(best, sums.shape[1]), strict=True):
            tokens, score = live[row][1], float(sums[row, token])
            if token == end:
                done.append((score / (len(tokens) + 1), tokens))
            elif len(grown) < width:
                grown.append((score, [*tokens, int(token)]))
                before.append(int(row))
        live = grown
        if len(done) >= width or not live:
            break
        rows, last = np.array(before), np.array([tokens[-1] for _, tokens in live])
    return [tokens for _, tokens in sorted(done, key=lambda one: -one[0])[:width]]


def with_others(cues: Sequence[Cue], texts: Sequence[str]) -> list[Cue]:
    """Return the cues of a text with the words that other texts of the same speech have in their places.

    A word that the cue itself has is not among them, and each is there once.
    """
    told = [_words(cue.text) for cue in cues]
    ends = list(accumulate(map(len, told)))
    written = [word for words in told for word in words]
    others: list[dict[str, None]] = [{} for _ in cues]
    for text in texts if cues else ():
        words = _words(text)
        matcher = difflib.SequenceMatcher(None, written, words, autojunk=False)
        for tag, at, _, first, last in matcher.get_opcodes():
            if tag != "equal":
                place = next((number for number, end in enumerate(ends) if at < end), len(cues) - 1)
                others[place] |= dict.fromkeys(words[first:last])
    return [
        replace(cue, others=" ".join(word for word in found if word and word not in own))
        for cue, own, found in zip(cues, told, others, strict=True)
    ]


def _words(text: str) -> list[str]:
    return [_EDGE.sub("", word).lower() for word in text.split()]
