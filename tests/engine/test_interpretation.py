"""What is read out of a text, what is not, and how to undo it."""

import random
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict

from engine.interpretation import interpret, of
from engine.queries import Interpretation
from spr.v1 import search_service_pb2 as pb
from spr.v1 import types_pb2
from tests.engine.asking import request, rows
from tests.engine.oracle import Cluster
from tests.engine.running import ask, refused


def filter_of(told: Interpretation) -> dict[str, Any]:
    return MessageToDict(told.filter, preserving_proto_field_name=True)


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("where does a man open the door?", "a man opens the door"),
        ("Where does the light turn on?", "the light turns on"),
        ("when did the goal fall", "the goal falls"),
        ("when do the children run", "the children run"),
        ("when does she try", "she tries"),
        ("when do two dogs and a cat play?", "two dogs and a cat play"),
        ("where is a dog running?", "a dog running"),
        ("show me a red ball", "a red ball"),
        ("please find all scenes where two dogs play", "two dogs play"),
        ("moments where somebody laughs", "somebody laughs"),
        ("can you find the goal?", "the goal"),
        ("who opens the door?", "someone opens the door"),
    ],
)
def test_questions_become_statements(text: str, statement: str) -> None:
    assert interpret(text).text == statement
    assert len(interpret(text).lifts) == 1


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a red ball bounces, then a blue square spins", ["a red ball bounces", "a blue square spins"]),
        ("a man sits and then he stands up", ["a man sits", "he stands up"]),
        ("a door opens; after that a dog barks", ["a door opens", "a dog barks"]),
        ("a door opens. Then a dog barks.", ["a door opens", "a dog barks"]),
        ("a door opens, followed by a dog", ["a door opens", "a dog"]),
        ("a, then the b, then the c", ["a", "the b", "the c"]),
        ("where does a dog bark, then a cat?", ["a dog barks", "a cat"]),
    ],
)
def test_then_makes_parts(text: str, parts: list[str]) -> None:
    told = interpret(text)
    assert [told.text, *told.then_texts] == parts


@pytest.mark.parametrize(
    ("text", "left", "negatives"),
    [
        ("a red ball, not at night", "a red ball", ["at night"]),
        ("a street without cars", "a street", ["cars"]),
        ("a street without any cars?", "a street", ["cars"]),
        ("a road but not a car", "a road", ["a car"]),
        ("a ball, no red", "a ball", ["red"]),
        ("a beach with no people", "a beach", ["people"]),
        ("a man without a hat, not in the rain", "a man", ["in the rain", "a hat"]),
    ],
)
def test_negatives_are_lifted(text: str, left: str, negatives: list[str]) -> None:
    told = interpret(text)
    assert (told.text, list(told.not_texts)) == (left, negatives)


@pytest.mark.parametrize(
    ("text", "left", "expected"),
    [
        ("a goal in video video_00012", "a goal", {"video_ids": ["video_00012"]}),
        ('a goal in video "final"', "a goal", {"video_ids": ["final"]}),
        ("a lion in folder animals/cats", "a lion", {"folder": "animals/cats"}),
        ("in videos labelled news, a man speaks", "a man speaks", {"any_labels": ["news"]}),
        ("a man speaks label:news", "a man speaks", {"any_labels": ["news"]}),
        ("a goal after 10:00", "a goal", {"span": {"start_offset": "600s"}}),
        ("a goal before 2:30", "a goal", {"span": {"start_offset": "0s", "end_offset": "150s"}}),
        (
            "a goal between 1:00 and 1:02:00",
            "a goal",
            {"span": {"start_offset": "60s", "end_offset": "3720s"}},
        ),
        ("a ball in the first minute", "a ball", {"span": {"start_offset": "0s", "end_offset": "60s"}}),
        (
            "a ball in the first 30 seconds?",
            "a ball",
            {"span": {"start_offset": "0s", "end_offset": "30s"}},
        ),
        ("a ball in the last half", "a ball", {"share": {"start": 0.5, "end": 1.0}}),
        ("a ball in the second half of the video", "a ball", {"share": {"start": 0.5, "end": 1.0}}),
        ("a man speaks since 2024", "a man speaks", {"from_date": "2024-01-01T00:00:00Z"}),
        ("a man speaks since 2024-02-29", "a man speaks", {"from_date": "2024-02-29T00:00:00Z"}),
    ],
)
def test_filters_are_lifted(text: str, left: str, expected: dict[str, Any]) -> None:
    told = interpret(text)
    assert (told.text, filter_of(told)) == (left, expected)


@pytest.mark.parametrize(
    "text",
    [
        "a man not looking at the camera",
        "a man without looking",
        "lights not on",
        "a ball and no longer a square",
        "a no parking sign",
        "a man with no doubt",
        "a man says no",
        "no red",
        "without a car",
        "a ball bounces and then stops",
        "what happens then",
        "a man plays in video games",
        "a paper in folder on the desk",
        "a box labelled fragile",
        "a meeting after 10:00 am",
        "a clock at 3:00",
        "after 10:00",
        "a man in the first row",
        "in the first minute of silence",
        "a shop since 1990 open at night",
        "a dog since 2023-02-30",
        "Nothing to lift here.",
        "wherever a man goes",
    ],
)
def test_what_may_be_a_description_stays(text: str) -> None:
    told = interpret(text)
    assert (told.text, told.then_texts, told.not_texts, told.lifts) == (text, (), (), ())
    assert not filter_of(told)


def test_every_lift_is_told_in_order_and_undone_by_its_words() -> None:
    text = "where does a ball bounce, then a star, not at night, after 1:00"
    told = interpret(text)
    words = [lift.words for lift in told.lifts]
    assert words == ["where does", ", then", "not at night", "after 1:00"]
    for undone in words:
        left = [lift.words for lift in interpret(text, [undone.upper()]).lifts]
        assert left == [other for other in words if other != undone]
    assert interpret(text, words).text == text


def test_what_the_filter_says_already_stands() -> None:
    own = ParseDict({"span": {"start_offset": "5s"}, "folder": "news"}, pb.Filter())
    told = interpret("a goal after 10:00 in folder a/b in video v1", own=own)
    assert told.text == "a goal after 10:00 in folder a/b"
    assert filter_of(told) == {"span": {"start_offset": "5s"}, "folder": "news", "video_ids": ["v1"]}


def test_any_text_is_read_quickly_and_something_is_left() -> None:
    chance = random.Random(3)
    words = "a ball , ; . ? not no without then and at in the first minute after 10:00 video v_1 but".split()
    for _ in range(400):
        text = " ".join(chance.choices(words, k=chance.randrange(1, 30)))
        told = interpret(text)
        assert told.text.strip() or not text.strip()
        assert all(told.then_texts)
        assert len(told.then_texts) < 5
        assert len(told.not_texts) <= 5
    for hard in ("-" * 999 + " ", "in video " + "-" * 990, "without " * 125, "not at " * 140, ", no a" * 160):
        interpret(hard)


def test_a_service_searches_for_what_it_understood(shared: Cluster) -> None:
    text = "show me something spins, not at night, after 0:04"
    found = ask(shared, lambda s: s.Search(request(text, interpret=True, page_size=2)))
    assert found.interpretation.text == "something spins"
    query = {"parts": [{"text": "something spins", "not_texts": ["at night"]}]}
    explicit = {"composed": query, "filter": {"span": {"start_offset": "4s"}}, "page_size": 100}
    expected = ask(shared, lambda s: s.Search(ParseDict(explicit, pb.SearchRequest())))
    rest = ask(shared, lambda s: s.Search(pb.SearchRequest(page_token=found.next_page_token, page_size=100)))
    assert rows(found) + rows(rest) == rows(expected)
    assert rest.interpretation == found.interpretation
    chain = ask(shared, lambda s: s.Search(request("a ball, then a star", interpret=True)))
    assert all(len(moment.parts) == 2 for moment in chain.moments)
    plain = ask(shared, lambda s: s.Search(request(text)))
    assert not plain.HasField("interpretation")


def test_too_many_literal_words_are_refused(shared: Cluster) -> None:
    asked = request("a ball", interpret=True, literal_words=["a"] * 101)
    told = refused(shared, lambda stub: stub.Search(asked))
    assert told == ("INVALID_ARGUMENT", "BAD_PARAMETER", "literal_words has 101 entries; send at most 100")


def test_only_a_text_is_read_and_only_if_asked_for() -> None:
    assert of(request("show me a ball")) is None
    assert of(pb.SearchRequest(interpret=True, composed=pb.ComposedQuery())) is None
    assert of(request("show me a ball", interpret=True)) is not None


def test_where_it_is_sought_is_lifted_and_can_be_undone(spoken: Cluster) -> None:
    told = interpret("rain falls in:said in:Written and a dog barks")
    assert (told.text, told.channels) == ("rain falls and a dog barks", ("said", "written"))
    assert [lift.words for lift in told.lifts] == ["in:said", "in:Written"]
    for text in ("in:said", "begin:said x", "in:sad rain"):
        assert not interpret(text).channels
    assert interpret("rain in:said", ["in:said"]).text == "rain in:said"
    assert not interpret("rain in:said", chosen=True).lifts

    async def search(stub: Any) -> Any:
        lifted = await stub.Search(request("rain falls in:said", interpret=True, page_size=100))
        params = {"channels": [types_pb2.CHANNEL_SAID]}
        return lifted, await stub.Search(request("rain falls", params=params, page_size=100))

    lifted, chosen = ask(spoken, search)
    assert chosen.moments
    assert lifted.moments == chosen.moments
