"""Names and terms that are said in the videos: what a recogniser is to expect, as its users know it."""

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput, quoted
from trainer.ingest.encodings import decode

# Above these a recogniser hears terms everywhere, and every token takes longer.
MOST_TERMS, LONGEST_TERM = 1000, 60
# A file with more is none of terms: a video, say.
_MOST_BYTES = 1 << 20
# Terms that are being said: nodes of the trie, and how many of their bytes whole terms have counted.
At: TypeAlias = tuple[tuple[int, int], ...]
# What U+0080 to U+00BF and U+2000 to U+2FFF begin with: quotes, dashes, blanks.
_MARKS = (0xC2, 0xE2)


def read_terms(path: Path) -> tuple[str, ...]:
    """Return the terms of a file, a line each, each once; InvalidInput for too many, too long, or none."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InvalidInput(f"{path} is larger than 1 MiB; give the {MOST_TERMS} terms that matter most.")
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}.") from None
    try:
        text = unicodedata.normalize("NFC", decode(data)[0])
    except InvalidInput as error:
        raise InvalidInput(f"{path} cannot be read: {error}.") from None
    lines = text.splitlines()
    terms = tuple(dict.fromkeys(term for line in lines if (term := " ".join(line.split()))))
    if not terms:
        raise InvalidInput(f"{path} has no terms: give it a name or a term a line.")
    if len(terms) > MOST_TERMS:
        raise InvalidInput(f"{path} has {len(terms)} terms; give the {MOST_TERMS} that matter most.")
    for term in terms:
        if len(term) > LONGEST_TERM or not term.isprintable() or not any(map(str.isalnum, term)):
            raise InvalidInput(f"{path}: {quoted(term)} is no term: a word or a few, {LONGEST_TERM} letters.")
    return terms


def described(terms: Sequence[str]) -> str:
    """Return what tells a recogniser's name with these terms from that with others; "" without any."""
    if not terms:
        return ""
    digest = hashlib.sha256("\n".join(terms).encode()).hexdigest()
    return f", expects {len(terms)} {digest[:8]}"


class Trie:
    """The terms, folded, as bytes, each after a blank, and which pieces of a model go on in one.

    pieces: bytes of each token, blanks as blanks.
    """

    def __init__(self, terms: Iterable[str], pieces: Sequence[bytes]) -> None:
        self._children: list[dict[int, int]] = [{}]
        self._depth = [0]
        self._ends = [False]
        for term in terms:
            self._add(_folded(f" {term}".encode()))
        self._pieces = [_folded(piece) for piece in pieces]
        self._longest = max(map(len, self._pieces), default=0)
        self._spelt: dict[bytes, list[int]] = {}
        for token, piece in enumerate(self._pieces):
            self._spelt.setdefault(piece, []).append(token)
        # Of nodes that a text came to: of many terms most are never said.
        self._going: dict[int, NDArray[np.int64]] = {}

    def going(self, at: At) -> NDArray[np.int64]:
        """Return the tokens that begin a term, or go on in one of those."""
        return np.concatenate([self._tokens(node) for node, _ in (*at, (0, 0))])

    def after(self, at: At, token: int) -> tuple[At, int]:
        """Return the terms that a token goes on in, and the bytes of whole ones that it shows to be said.

        A byte that is in several counts once.
        """
        done = 0
        for byte in self._pieces[token]:
            if not (chr(byte).isalnum() if byte < 128 else byte not in _MARKS):
                more = self.ended(at)
                done += more
                at = tuple((node, min(self._depth[node], counted + more)) for node, counted in at)
            at = tuple(
                (child, counted)
                for node, counted in (*at, (0, 0))
                if (child := self._children[node].get(byte)) is not None
            )
        return at, done

    def ended(self, at: At) -> int:
        """Return the bytes that the longest of those terms that is whole counts where the text ends here."""
        depth, counted = max(
            ((self._depth[node], counted) for node, counted in at if self._ends[node]), default=(0, 0)
        )
        return depth - counted

    def begun(self, at: At) -> int:
        """Return the most bytes, so far, that one of those terms counts once it is whole."""
        return max((self._depth[node] - counted for node, counted in at), default=0)

    def _add(self, term: bytes) -> None:
        node = 0
        for byte in term:
            if byte not in self._children[node]:
                self._children[node][byte] = len(self._depth)
                self._children.append({})
                self._depth.append(self._depth[node] + 1)
                self._ends.append(False)
            node = self._children[node][byte]
        self._ends[node] = True

    def _tokens(self, node: int) -> NDArray[np.int64]:
        """Return the tokens whose bytes lead from a node to one below it."""
        if node not in self._going:
            found: list[int] = []
            open_: list[tuple[int, bytes]] = [(node, b"")]
            while open_:
                at, spelt = open_.pop()
                for byte, child in self._children[at].items():
                    piece = spelt + bytes([byte])
                    # A blank alone begins every term, and so none.
                    found += self._spelt.get(piece, []) if piece != b" " else []
                    if len(piece) < self._longest:
                        open_.append((child, piece))
            self._going[node] = np.array(found, np.int64)
        return self._going[node]


def _folded(piece: bytes) -> bytes:
    """Return it in lower case, without accents: a recogniser of English writes most words so."""
    text = unicodedata.normalize("NFD", piece.decode("utf-8", "surrogateescape").lower()).replace("’", "'")
    plain = "".join(letter for letter in text if not unicodedata.combining(letter))
    return plain.encode("utf-8", "surrogateescape")
