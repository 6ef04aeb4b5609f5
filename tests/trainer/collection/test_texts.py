"""Which lines make the text of a segment."""

from engine.texts import Line
from trainer.collection.texts import segment_texts
from trainer.ingest.texts import Texts


def test_a_segment_has_the_lines_that_are_there_for_some_time_of_it() -> None:
    said = (
        Line(0.0, 4.0, "first"),
        Line(3.9, 8.1, "over three"),
        Line(8.0, 8.0, "at once"),
        Line(30.0, 31.0, "too late"),
    )
    texts = Texts(said, (Line(5.0, 6.0, "sign"),))
    assert segment_texts(texts, "said", 11.0, 4.0) == {
        0: "first\nover three",
        1: "over three",
        2: "over three\nat once",
    }
    assert segment_texts(texts, "written", 11.0, 4.0) == {1: "sign"}
    assert segment_texts(Texts(), "said", 11.0, 4.0) == {}
