"""What the words of a text are, and which of them a query finds."""

import pytest

from engine.words import MOST_SEEKING, edits, matched, telling, terms, trimmed


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The Ball, the ball!", ["the", "ball", "the", "ball"]),
        ("CAFÉ cafe\u0301 Straße", ["cafe", "cafe", "strasse"]),
        ("ＲＥ１６ №5", ["re16", "no5"]),
        ("東京タワーへ", ["東京", "京タ", "タワ", "ワー", "ーへ"]),
        ("犬 и Ёлка", ["犬", "и", "елка"]),
        ("ｶﾞｽ", ["ガス"]),
        ("हिन्दी भाषा।", ["हिन्दी", "भाषा"]),
        ("السَّلام", ["السلام"]),
        ("…?!", []),
    ],
)
def test_words_have_one_form_whatever_their_script(text: str, found: list[str]) -> None:
    assert terms(text) == found


@pytest.mark.parametrize(
    ("text", "query", "marked"),
    [
        ("A red Ball.", "the red balls ball", ["red", "Ball"]),
        ("Plate re16xk, lot 7", "RE16", ["re16xk"]),
        ("the superball", "ball", ["superball"]),
        ("Willkommen, Bill", "ill", []),
        ("at the Harbour", "the harbour at night", ["Harbour"]),
        ("at the harbor in 1988", "the harbour 1989", ["harbor"]),
        ("to be", "to be", ["to", "be"]),
        ("a ball, a superball", "ball", ["ball"]),
        ("新しい東京都庁", "東京都", ["東京都"]),
        ("Cafe\u0301 noir", "café", ["Cafe\u0301"]),
        ("nothing of it", "", []),
        ("", "ball", []),
    ],
)
def test_marks_the_words_of_a_query_and_keeps_all_of_the_text(
    text: str, query: str, marked: list[str]
) -> None:
    pieces = matched(text, query)
    assert "".join(piece for piece, _ in pieces) == text
    assert [piece for piece, found in pieces if found] == marked


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("a number plate with NA38", ["number", "plate", "na38"]),
        ("Wo geht es um Vögel?", ["geht", "vogel"]),
        ("où est la tour", ["tour"]),
        ("die hard", ["hard"]),
        ("what does the die show?", ["die", "show"]),
        ("to be or not to be", ["to", "be", "or", "not"]),
        ("", []),
    ],
)
def test_a_query_is_sought_by_its_words_less_those_that_only_join_others(query: str, told: list[str]) -> None:
    assert telling(terms(query)) == told


def test_the_first_16_words_of_a_long_query_are_marked_in_words_that_are_nearly_them() -> None:
    names = [f"harbou{chr(ord('a') + at) * 2}" for at in range(20)]
    text = " ".join(name.replace("u", "") for name in names)
    marked = [piece for piece, found in matched(text, " ".join(names)) if found]
    assert marked == text.split()[:MOST_SEEKING]
    assert all(found for piece, found in matched(" ".join(names), " ".join(names)) if piece != " ")


@pytest.mark.parametrize(
    "text", ["", " \n", "\u200b", "\u200b \u2060\ufeff", "\u00ad", "\u3164", "\u2800\ufe0f", "\0"]
)
def test_a_text_of_which_nothing_is_seen_is_empty(text: str) -> None:
    assert trimmed(text) == ""


@pytest.mark.parametrize("text", ["?", "🙂", "❤\ufe0f", "می\u200cخواهم", "a\u200b", "한"])
def test_a_text_of_which_something_is_seen_stays_as_it_is(text: str) -> None:
    assert trimmed(f" {text}\n") == text


@pytest.mark.parametrize(("one", "other"), [("harbour", ""), ("", "harbour"), ("", ""), ("1988", "1989")])
def test_nothing_is_nearly_nothing(one: str, other: str) -> None:
    assert edits(one, other) == 0
