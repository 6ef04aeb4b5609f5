"""Words that are nearly one of a query, against a table of distances, word by word."""

import itertools
import random

import pytest

from engine.words import MOST_ALIKE, MOST_SEEKING, edits, may_differ
from workers.index.lexicon import Statistics
from workers.index.vocabulary import Vocabulary
from workers.index.words import WordIndex

# Of one byte, two, three and four.
_LETTERS = "aoenr" + "øłı" + "жзи" + "ცხა" + "𐐨𐐩"


def _changed(word: str, dice: random.Random) -> str:
    letters = list(word)
    for _ in range(dice.randrange(4)):
        at = dice.randrange(len(letters) - 1)
        ways: tuple[list[str], ...] = ([dice.choice(_LETTERS), letters[at]], [], [dice.choice(_LETTERS)])
        letters[at : at + 1] = dice.choice(ways)
        if dice.random() < 0.3:
            letters[at : at + 2] = letters[at : at + 2][::-1]
    return "".join(letters)


def _distance(one: str, other: str) -> int:
    """Return the edits that make `other` of `one`: a letter more, less or another, two swapped."""
    table = [[max(row, column) for column in range(len(other) + 1)] for row in range(len(one) + 1)]
    for row, column in itertools.product(range(1, len(one) + 1), range(1, len(other) + 1)):
        ways = table[row - 1][column] + 1, table[row][column - 1] + 1
        table[row][column] = min(*ways, table[row - 1][column - 1] + (one[row - 1] != other[column - 1]))
        if min(row, column) > 1 and one[row - 2 : row] == other[column - 2 : column][::-1]:
            table[row][column] = min(table[row][column], table[row - 2][column - 2] + 1)
    return table[-1][-1]


def _edits(one: str, other: str) -> int:
    by = _distance(one, other)
    return by if one[0] == other[0] and by <= may_differ(one) else 0


@pytest.mark.parametrize("length", [5, 9, 10, 13, MOST_ALIKE, MOST_ALIKE + 1])
def test_those_are_found_that_differ_by_few_edits(length: int) -> None:
    dice = random.Random(length)
    asked = ["".join(dice.choices(_LETTERS, k=length)) for _ in range(300 // length)]
    vocabulary = Vocabulary.of([_changed(word, dice) for word in asked for _ in range(12)])
    words = vocabulary.words()
    found = 0
    for word in asked:
        numbers, by = vocabulary.alike(word)
        expected = {one: _edits(word, one) for one in words if abs(len(one) - len(word)) < 3}
        expected = {one: count for one, count in expected.items() if count}
        assert {words[number]: count for number, count in zip(numbers, by, strict=True)} == expected
        found += len(expected)
        assert {one: edits(word, one) for one in expected} == expected
    assert (found > 9) == (length <= MOST_ALIKE)


@pytest.mark.parametrize(("asked", "text"), [("bjornson", "bjørnson"), ("kazimierz", "każımierz")])
def test_letters_of_more_bytes_are_one_edit(asked: str, text: str) -> None:
    index = WordIndex.build([text], Statistics.of([text]))
    assert index.search(asked, 1)[0].tolist() == [0]


def test_the_first_words_of_a_long_query_may_be_misspelt() -> None:
    dice = random.Random(1)
    words = ["".join(dice.choices("abcdefghijklmnop", k=10)) for _ in range(40)]
    index = WordIndex.build(words, Statistics.of(words))
    misspelt = [f"{word[:-1]}z" for word in words]
    assert index.search(misspelt[-1], 99)[0].tolist() == [39]
    assert sorted(index.search(" ".join(misspelt), 99)[0].tolist()) == list(range(MOST_SEEKING))
