"""The word index against BM25 as its formula reads, row by row."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from engine.errors import Mismatch, NotFound
from engine.words import edits, seeks_inside, terms
from tests.numeric import close
from workers.index.lexicon import Lexicon, Statistics
from workers.index.words import K1, B, WordIndex

_COMMON = ("the", "of", "and", "a")
# Those of the queries here.
_FUNCTION_WORDS = {*_COMMON, "this"}
_WEAK = {"says", "said"}

_SPELT = (
    "harbour",
    "harbor",
    "harbors",
    "recieve",
    "receiver",
    "nervous",
    "Nerva",
    "städte",
    "stadte",
    "метро",
)


def _corpus(rows: int, seed: int = 0) -> list[str]:
    """Texts of words as frequent as Zipf says, with plates, and a few words that nearly all have."""
    rng = np.random.default_rng(seed)
    words = np.array([f"word{number}x" if number % 5 else f"kilo{number}" for number in range(400)])
    found = []
    for _ in range(rows):
        ranks = np.minimum(rng.zipf(1.3, rng.integers(0, 14)), 400) - 1
        common = [word for word in _COMMON if rng.random() < 0.5] + ["says"] * (rng.random() < 0.1)
        plate = [rng.choice(_SPELT)] if rng.random() < 0.2 else []
        plate += [f"RE{rng.integers(10, 99)}{rng.choice(['', 'X', 'KL'])}"] if rng.random() < 0.1 else []
        found.append(" ".join([*common, *words[ranks], *plate]))
    return found


def _oracle(documents: Sequence[str], lexicon: Sequence[str], query: str) -> dict[int, float]:
    """Return the score of every row that has a word of the query, in loops and floats."""
    bags = [Counter(terms(document)) for document in lexicon]
    mean = sum(map(Counter.total, bags)) / len(bags)
    asked = set(terms(query)) - _FUNCTION_WORDS or set(terms(query))
    count = {word: sum(word in bag for bag in bags) for word in asked}
    kept = {word for word in count if count[word] <= max(0.2 * len(bags), 20)} or set(count)
    idf = {
        word: math.log(1 + (len(bags) - max(1, count[word]) + 0.5) / (max(1, count[word]) + 0.5))
        * (1 if count[word] else 0.5)
        * (0.25 if word in _WEAK else 1)
        for word in kept
    }
    scores = {}
    for row, document in enumerate(documents):
        bag, score = Counter(terms(document)), 0.0
        damp = K1 * (1 - B + B * bag.total() / mean)
        for word in kept:
            inside = seeks_inside(word, count[word] > 0)
            shares = [bag[one] / (bag[one] + damp) * _alike(word, one, inside) for one in bag]
            score += idf[word] * max(shares, default=0.0)
        if score:
            scores[row] = score / sum(idf.values())
    return scores


def _alike(word: str, one: str, inside: bool) -> float:
    """Return how much of its own share a word of a text gives to one of a query."""
    if one == word or (inside and word in one):
        return len(word) / len(one)
    by = edits(word, one)
    return (1 - by / len(word)) ** 2 if by else 0.0


@pytest.fixture(scope="module")
def documents() -> list[str]:
    return _corpus(600)


@pytest.fixture(scope="module")
def index(documents: list[str]) -> WordIndex:
    return WordIndex.build(documents, Statistics.of(documents))


_QUERIES = [
    "word1x word3x word47x",
    "the word2x of kilo100",
    "the and of",
    "re16",
    "RE2 kilo5 word9x and unheard",
    "ilo",
    "nobody said this",
    "someone says word7x of kilo10",
    "receive nervus goods of Harbours",
    "метра of the stadt",
    " ".join(f"word{number}x" for number in range(1, 30)),
]


@pytest.mark.parametrize("query", _QUERIES)
def test_finds_what_the_formula_finds(documents: list[str], index: WordIndex, query: str) -> None:
    expected = _oracle(documents, documents, query)
    rows, scores = index.search(query, len(documents))
    assert set(rows.tolist()) == set(expected)
    # Shares and weights are whole numbers: of 65 thousand at most.
    close(scores, np.array([expected[row] for row in rows.tolist()]), 2e-4, scale=1.0)
    assert (np.lexsort((rows, -scores)) == np.arange(len(rows))).all()


@pytest.mark.parametrize("k", [1, 10, 200])
@pytest.mark.parametrize("query", _QUERIES)
def test_the_best_are_the_first_of_all_also_of_those_that_live(index: WordIndex, query: str, k: int) -> None:
    living = np.random.default_rng(k).random(len(index)) < 0.3
    for mask in (None, living):
        every, all_scores = index.search(query, len(index), mask)
        rows, scores = index.search(query, k, mask)
        assert rows.tolist() == every[:k].tolist()
        assert scores.tolist() == all_scores[:k].tolist()
        assert mask is None or mask[rows].all()


def test_a_score_does_not_depend_on_the_rows_beside_it(documents: list[str], index: WordIndex) -> None:
    half = WordIndex.build(documents[300:], index.statistics)
    for query in _QUERIES:
        rows, scores = index.search(query, len(index))
        others, other_scores = half.search(query, len(half))
        later = rows >= 300
        assert (rows[later] - 300).tolist() == others.tolist()
        assert scores[later].tolist() == other_scores.tolist()


def test_in_few_texts_words_that_tell_nothing_find_nothing_beside_others() -> None:
    texts = ["to the left", "the harbour", "die Brücke über der Elbe", "to be or not"]
    index = WordIndex.build(texts, Statistics.of(texts))
    for query, rows in (("a train to the sea", []), ("the harbour", [1]), ("Brücke der Seufzer", [2])):
        assert index.search(query, 9)[0].tolist() == rows
    assert set(index.search("to the", 9)[0].tolist()) == {0, 1, 3}


def test_a_word_finds_those_that_are_nearly_it_after_itself() -> None:
    texts = ["we left the harbor", "we left the harbour", "gate 1988", "a hard bour", "my labour"]
    index = WordIndex.build(texts, Statistics.of(texts))
    rows, scores = index.search("harbour", 9)
    assert rows.tolist() == [1, 0]
    assert scores[0] > scores[1] > 0
    assert index.search("1989", 9)[0].tolist() == []


def test_of_words_that_contain_one_none_is_left_out() -> None:
    documents = [f"plate{number}" for number in range(1000)]
    index = WordIndex.build(documents, Statistics.of(["plate"]))
    rows, scores = index.search("late", 1000)
    half = WordIndex.build(documents[500:], index.statistics).search("late", 1000)
    assert sorted(rows.tolist()) == list(range(1000))
    assert scores[rows >= 500].tolist() == half[1].tolist()


def test_a_saved_index_answers_alike_and_has_the_same_bytes(
    documents: list[str], index: WordIndex, tmp_path: Path
) -> None:
    Lexicon({"said": index.statistics}).save(tmp_path)
    lexicon = Lexicon.read(tmp_path, Lexicon.of({"said": documents}).sha256)
    for folder in ("one", "other"):
        WordIndex.build(documents, lexicon.channel("said")).save(tmp_path / folder)
    opened = WordIndex.open(tmp_path / "one", lexicon.channel("said"), len(documents))
    for query in _QUERIES:
        assert [a.tolist() for a in opened.search(query, 50)] == [a.tolist() for a in index.search(query, 50)]
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()


@pytest.mark.parametrize("texts", [[], [""], ["ball"]])
def test_nothing_and_little_can_be_indexed(texts: list[str], tmp_path: Path) -> None:
    WordIndex.build(texts, Statistics.of(texts)).save(tmp_path)
    index = WordIndex.open(tmp_path, Statistics.of(texts), len(texts))
    assert index.search("ball", 5)[0].tolist() == ([0] if texts == ["ball"] else [])
    assert index.search("...", 5)[0].tolist() == []


def test_damaged_files_are_named(index: WordIndex, tmp_path: Path) -> None:
    index.save(tmp_path)
    np.save(tmp_path / "rows.npy", index.rows[:-1])
    with pytest.raises(Mismatch, match="tables that do not agree"):
        WordIndex.open(tmp_path, index.statistics, len(index))
    (tmp_path / "starts.npy").unlink()
    with pytest.raises(NotFound, match=r"starts\.npy does not exist"):
        WordIndex.open(tmp_path, index.statistics, len(index))


def test_a_damaged_lexicon_is_named(tmp_path: Path) -> None:
    lexicon = Lexicon.of({"said": ["a red ball"]})
    with pytest.raises(NotFound, match=r"\.lexicon does not exist"):
        Lexicon.read(tmp_path, lexicon.sha256)
    lexicon.save(tmp_path)
    path = next((tmp_path / "quantizers").glob("*.lexicon"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Mismatch, match="does not have the checksum"):
        Lexicon.read(tmp_path, lexicon.sha256)


def test_what_a_query_says_around_a_plate_takes_little_of_its_score() -> None:
    signs = [f"NA{number} RMZ" for number in range(10, 70)]
    index = WordIndex.build(signs, Statistics.of(signs))
    scores = {text: index.search(text, 1)[1].item() for text in ("NA38", "a plate with NA38", "plate NA38")}
    # "A" and "with" nowhere are of no weight, "plate" nowhere is of half that of the plate.
    close(scores["a plate with NA38"], scores["plate NA38"], 1e-6)
    close(scores["plate NA38"], scores["NA38"] / 1.5, 1e-3)
