"""The words of a text, the same for what is indexed, asked and shown.

A word is a run of letters and digits, in one form: NFKC, case folded, without accents. Scripts that set no
spaces between words (Chinese, Japanese, Korean, Thai and the like) give the pairs of adjacent characters.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import lru_cache
from itertools import islice

from rapidfuzz.distance import OSA

from engine.function_words import function_words

# Shorter words are not looked for inside others; one of letters alone has to be longer.
SHORTEST_INSIDE = 3
# Of a word with fewer letters every one counts; from twice as many on two may differ. Chosen on rendered
# worlds that were spoken and heard.
LEAST_ALIKE = 5
# Of a longer one too: it is none that anybody misspells, and a number of 64 bits has one for each letter.
MOST_ALIKE = 64
# So many words of a query are looked for inside others, and so many may be misspelt, the first ones.
MOST_SEEKING = 16

_UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ecd\u1000-\u103f\u1780-\u17d3\u3041-\u309a\u309d-\u309f\u30a1-\u30fa"
    "\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
)
# Vowels and other signs of Indian scripts, which `\w` does not have, and not their full stops.
_SIGNS = "\u0900-\u0963\u0966-\u0dff"
_ACCENTS = "\u0300-\u036f\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
# Letters that are blank, and what only changes the look of another character.
_BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
_IS_BLANK = re.compile(f"[{_BLANK}]")
_ACCENT = re.compile(f"[{_ACCENTS}]+")
_ASCII_WORD = re.compile(r"\w+", re.ASCII)
_WORD = re.compile(f"[{_UNSPACED}]+|(?:[^\\W{_UNSPACED}]|[{_SIGNS}])+")
# The same in a text that is not in one form yet: half-wide kana, and accents apart from their letters.
_RAW_WORD = re.compile(
    f"[{_UNSPACED}\uff66-\uff9f]+|(?:[^\\W{_UNSPACED}\uff66-\uff9f]|[{_SIGNS}{_ACCENTS}])+"
)
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")


def trimmed(text: str) -> str:
    """Return a text without space around it; "" if nothing of it can be seen, as of zero width spaces.

    >>> trimmed(" a red ball\\n"), trimmed("\\u200b \\u2060")
    ('a red ball', '')
    """
    return text.strip() if any(map(_is_seen, text)) else ""


def _is_seen(char: str) -> bool:
    return unicodedata.category(char) not in ("Cc", "Cf", "Zs", "Zl", "Zp") and not _IS_BLANK.match(char)


def terms(text: str) -> list[str]:
    """Return the words of a text in order, repeated ones as often as they are there.

    >>> terms("Où est la RE-16? 東京都")
    ['ou', 'est', 'la', 're', '16', '東京', '京都']
    """
    text = _in_one_form(text)
    if text.isascii():
        return _ASCII_WORD.findall(text)
    found: list[str] = []
    for word in _WORD.findall(text):
        found += _pairs(word) if _IS_UNSPACED.match(word) else [word]
    return found


def telling(words: Iterable[str]) -> list[str]:
    """Return the words of a query to search by, each once: no function words where there are others.

    >>> telling(terms("where is the number plate?")), telling(terms("the who"))
    (['number', 'plate'], ['the', 'who'])
    """
    asked = list(dict.fromkeys(words))
    empty = function_words(asked)
    return [word for word in asked if word not in empty] or asked


def seeks_inside(term: str, known: bool) -> bool:
    """Tell whether a word of a query also finds words that contain it: plates, numbers, what nobody knows.

    known: whether the word itself is one that texts have.
    """
    if len(term) < SHORTEST_INSIDE:
        return len(term) == 1 and bool(_IS_UNSPACED.match(term))
    # "ill" is in "will" and "Willkommen".
    return (len(term) > SHORTEST_INSIDE and not known) or any(character.isdigit() for character in term)


def may_differ(term: str) -> int:
    """Return by how many edits a word may differ from one of a query and still be taken for it, 0 for none.

    Words are misspelt, spelt in two ways ("harbour"), misheard and misread. Another number is another number.
    """
    return min(len(term) // LEAST_ALIKE, 2) if len(term) <= MOST_ALIKE and term.isalpha() else 0


def edits(one: str, other: str) -> int:
    """Return by how many edits `other` differs, 0 where it is not taken for `one`: see `may_differ`.

    An edit inserts, removes or replaces a letter, or swaps two adjacent ones (optimal string alignment,
    Boytsov, Indexing Methods for Approximate Dictionary Searching, 2011). The first letter stays.

    >>> edits("harbour", "harbor"), edits("recieve", "receive"), edits("1988", "1989")
    (1, 1, 0)
    """
    most = may_differ(one)
    if not most or one[0] != other[:1]:
        return 0
    found = int(OSA.distance(one, other, score_cutoff=most))
    return found if found <= most else 0


def matched(text: str, query: str) -> list[tuple[str, bool]]:
    """Return a text in pieces that joined are all of it, True for a word that matches one of the query.

    A word with a digit, and a query of which no word is in the text as it is, match what contains them. A
    word also matches one that is nearly it, see `edits`. Both hold for the first MOST_SEEKING of the query.

    >>> matched("Plate: RE16-X", "the re16")
    [('Plate: ', False), ('RE16', True), ('-X', False)]
    """
    asked = _asked(query)
    known = not asked.keys().isdisjoint(terms(text))
    inside = list(islice((term for term in asked if seeks_inside(term, known)), MOST_SEEKING))
    nearly = list(islice((term for term in asked if may_differ(term)), MOST_SEEKING))
    marked = [False] * len(text)

    def wanted(term: str) -> bool:
        return term in asked or any(one in term for one in inside) or any(edits(one, term) for one in nearly)

    for begin, end in _spans(text, wanted):
        marked[begin:end] = [True] * (end - begin)
    return _pieces(text, marked)


@lru_cache(maxsize=64)
def _asked(query: str) -> dict[str, None]:
    """Return the words that a query is searched by, in order; a search asks for them line by line."""
    return dict.fromkeys(telling(terms(query)))


def _in_one_form(text: str) -> str:
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKC", text).casefold()
    bare = _ACCENT.sub("", unicodedata.normalize("NFD", folded))
    # Again, for kana and Hangul, whose signs are no accents.
    return unicodedata.normalize("NFKC", bare)


def _pairs(word: str) -> list[str]:
    return [word[place : place + 2] for place in range(len(word) - 1)] or [word]


def _spans(text: str, wanted: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    """Yield begin and end of what in the text makes a wanted term."""
    for word in _RAW_WORD.finditer(text):
        begin, end = word.span()
        found: Collection[str] = terms(word[0])
        if not any(map(wanted, found)):
            continue
        if len(found) == 1 or not _IS_UNSPACED.search(_in_one_form(word[0])):
            yield begin, end
            continue
        for place in range(begin, end - 1):
            if any(map(wanted, terms(text[place : place + 2]))):
                yield place, place + 2


def _pieces(text: str, marked: list[bool]) -> list[tuple[str, bool]]:
    found: list[tuple[str, bool]] = []
    begin = 0
    for place in range(1, len(text) + 1):
        if place == len(text) or marked[place] != marked[begin]:
            found.append((text[begin:place], marked[begin]))
            begin = place
    return found
