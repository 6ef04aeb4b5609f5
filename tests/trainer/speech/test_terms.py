"""Terms to expect: their file, where a text is in one, and the beam search that they steer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.errors import InvalidInput
from spr_cli.transcribing import remember, wanted_of
from tests.trainer.speech.factories import spoken, write_whisper
from trainer.collection.places import describe_collection
from trainer.speech.engines import Whisper
from trainer.speech.moonshine import Moonshine
from trainer.speech.run import Recogniser
from trainer.speech.setting import recogniser_of
from trainer.speech.terms import LONGEST_TERM, MOST_TERMS, At, Trie, described, read_terms
from workers.ranker.encoder.encoder import quietly

# espeak-ng says "Priya looks so tired today".
PRIYA = Path(__file__).with_name("priya.flac")
PEOPLE = ("Maria", "Priya", "Victor")


def heard(terms: Sequence[str], samples: NDArray[np.int16]) -> str:
    return " ".join(cue.text for cue in Moonshine(None, terms).hear(samples).cues)


def test_a_name_is_heard_where_it_is_expected() -> None:
    with av.open(PRIYA) as container:
        samples = np.concatenate([frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)])
    assert "Priya" not in heard((), samples)
    assert heard(PEOPLE, samples) == "Priya looks so tired today."
    # A term that is not said is not heard.
    assert heard(("Won too", *PEOPLE), spoken()) == heard((), spoken())


def test_whisper_expects_as_many_terms_as_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with quietly():
        folder = str(write_whisper(tmp_path / "tiny"))
    engine = Whisper(folder, "cpu", "en", ("Eva", "Tom"))
    assert engine.name.endswith(described(("Eva", "Tom")))
    generate, read = engine._model.generate, engine._processor.tokenizer.decode
    calls: list[tuple[str, str]] = []

    def generated(*given: Any, **told: Any) -> Any:
        tokens = generate(*given, **told)
        calls.append((read(told["prompt_ids"]), read(tokens[0])))
        return tokens

    monkeypatch.setattr(engine._model, "generate", generated)
    engine.hear(spoken())
    [(told, heard)] = calls
    assert told == "<|startofprev|> Eva, Tom"
    # What it is told is not what it hears.
    assert not any(name in heard for name in ("startofprev", "Eva", "Tom"))
    with pytest.raises(InvalidInput, match=r"a term has a token of whisper in it.* <\|en\|>\."):
        Whisper(folder, "cpu", "en", ("Eva", "a <|en|>"))
    with pytest.raises(InvalidInput, match="3 terms are 22 tokens, and this whisper takes 15: give fewer"):
        Whisper(folder, "cpu", "en", PEOPLE)


def test_other_terms_are_another_recogniser_and_a_collection_keeps_them(tmp_path: Path) -> None:
    others = (*PEOPLE[:2], "Viktor")
    names = [Recogniser("moonshine", terms=terms).open().name for terms in ((), PEOPLE, others)]
    assert len(set(names)) == 3
    assert names[1] == f"{names[0]}{described(PEOPLE)}"
    describe_collection(tmp_path)
    (tmp_path / "names.txt").write_text("\n".join(PEOPLE))
    # Without the option they are taken away.
    for path, terms in ((tmp_path / "names.txt", PEOPLE), (None, ())):
        remember(tmp_path, wanted_of("moonshine", None, path, None), "cpu")
        assert recogniser_of(tmp_path) == Recogniser("moonshine", terms=terms)


def test_a_file_of_terms_has_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes("\ufeffMaria\r\n\r\n  space   travel \nMaria\nÅsa\nA\u030asa\n".encode())
    assert read_terms(path) == ("Maria", "space travel", "Åsa")
    for text, words in (
        ("\n \n", "has no terms"),
        ("Maria\x1b\n", r"'Maria\\x1b' is no term"),
        ("...\n", r"'\.\.\.' is no term"),
        ("x" * (LONGEST_TERM + 1), "is no term"),
        ("\n".join(map(str, range(MOST_TERMS + 1))), f"has {MOST_TERMS + 1} terms; give the {MOST_TERMS}"),
    ):
        path.write_text(text)
        with pytest.raises(InvalidInput, match=words) as caught:
            read_terms(path)
        assert str(path) in str(caught.value)
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(InvalidInput, match=f"names.txt is larger than 1 MiB; give the {MOST_TERMS} terms"):
        read_terms(path)
    path.write_bytes(b"Eva\x1b$*H\n")
    with pytest.raises(InvalidInput, match=r"names.txt cannot be read: it is in .*save it as UTF-8"):
        read_terms(path)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_terms(tmp_path)


@pytest.mark.parametrize("seed", range(40))
def test_where_a_text_is_in_terms_is_what_its_letters_say(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def word(letters: str, most: int) -> str:
        return "".join(rng.choice(list(letters), rng.integers(1, most)))

    terms = {" ".join(word("aB", 4) for _ in range(rng.integers(1, 3))) for _ in range(4)}
    pieces = [word("ab A.—", 4).encode() for _ in range(12)]
    trie = Trie(terms, pieces)
    starts = {f" {term}".lower() for term in terms}
    tokens = rng.integers(len(pieces), size=8).tolist()
    at, done = trie.after((), tokens[0])
    for token in tokens[1:]:
        going = set(trie.going(at).tolist())
        for other, piece in enumerate(pieces):
            longer = piece.decode().lower()
            rest = [start[len(begun) :] for start in starts for begun in _begun(trie, at, start)]
            assert (other in going) == (longer != " " and any(each.startswith(longer) for each in rest))
        at, more = trie.after(at, token)
        done += more
    text = b"".join(pieces[token] for token in tokens).decode().lower()
    ends = [
        max((len(start) for start in starts if text[:length].endswith(start)), default=0)
        for length in range(1, len(text) + 1)
    ]
    counted: set[int] = set()
    for place, (end, follows) in enumerate(zip(ends, text[1:], strict=False), 1):
        counted |= set() if follows.isalnum() else set(range(place - end, place))
    assert done == len(counted)
    letters = range(len(text))
    assert trie.ended(at) == len(set(letters[len(text) - ends[-1] :]) - counted)
    begun = {start[:length] for start in starts for length in range(1, len(start) + 1)}
    left = [len(set(letters[first:]) - counted) for first in letters if text[first:] in begun]
    assert trie.begun(at) == max(left, default=0)


@pytest.mark.parametrize(
    ("term", "written"), [("O’Brien", " O'Brien"), ("Kraków", " Krakow"), ("Krako\u0301w", " KRAKÓW")]
)
def test_a_term_is_found_whatever_its_case_accents_and_apostrophes(term: str, written: str) -> None:
    trie = Trie([term], [written.encode()])
    at, _ = trie.after((), 0)
    assert trie.ended(at) == len(term.replace("\u0301", "")) + 1


def test_terms_that_overlap_are_counted_once_and_end_before_what_is_no_letter() -> None:
    pieces = [b" New York", b" City", "’s".encode(), "é".encode(), b".", b" hey"]
    trie = Trie(("New York", "New York City", "York", "hey hey"), pieces)

    def counted(*tokens: int) -> int:
        at: At = ()
        total = 0
        for token in tokens:
            at, done = trie.after(at, token)
            total += done
        return total + trie.ended(at)

    assert counted(0) == len(" New York")
    assert counted(0, 1) == len(" New York City")
    assert counted(5, 5, 5, 5, 4) == len(" hey" * 4)
    assert counted(0, 2) == len(" New York")
    assert counted(0, 3) == 0


def _begun(trie: Trie, at: At, start: str) -> list[str]:
    """Return what of a term was said, at each of the nodes, "" before it."""
    node, found, nodes = 0, [""], {node for node, _ in at}
    for length, byte in enumerate(start.encode(), 1):
        node = trie._children[node][byte]
        found += [start[:length]] if node in nodes else []
    return found
