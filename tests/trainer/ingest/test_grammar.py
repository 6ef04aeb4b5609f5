"""Subtitle texts of every habit into cues."""

import time
import tracemalloc

import pytest

from engine.errors import InvalidInput
from trainer.ingest.grammar import parse
from trainer.ingest.subtitles import MOST_CUES, Cue

ASS = """[Script Info]
ScriptType: v4.00+

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:09.00,Default,,0,0,0,,nobody says this
Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,first, with a comma
Dialogue: 1,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\p1}m 0 0 l 5 5{\\p0}
Dialogue: 0,0:00:03.00,0:00:04.00,Default,Anna,0,0,0,,second\\Nline
"""
SSA = """[Events]
Format: Marked, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: Marked=0,0:00:01.00,0:00:02.00,Default,,0000,0000,0000,,old words
"""


def said(text: str, suffix: str = ".srt") -> list[tuple[float, float, str]]:
    return [(cue.start, cue.end, cue.text.replace("\n", " ")) for cue in parse(text, suffix=suffix).cues]


def words(text: str, suffix: str = ".srt") -> list[str]:
    return [cue for _, _, cue in said(text, suffix)]


@pytest.mark.parametrize("suffix", [".srt", ".vtt", ".ass"])
def test_the_content_says_what_a_file_is(suffix: str) -> None:
    assert said(ASS, suffix) == [(1, 2.5, "first, with a comma"), (3, 4, "second line")]
    assert said(SSA, suffix) == [(1, 2, "old words")]
    assert said("WEBVTT\n\na name\n00:01.000 --> 00:02.000\nhi\n", suffix) == [(1, 2, "hi")]
    assert said("1\n00:00:01,000 --> 00:00:02,000\nhi\n", suffix) == [(1, 2, "hi")]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r", "\r\r\n"])
def test_lines_may_end_in_any_way(newline: str) -> None:
    srt = "1\n00:00:01,000 --> 00:00:02,000\none\ntwo\n\n2\n00:00:03,000 --> 00:00:04,000\nthree"
    vtt = "WEBVTT\n\n00:01.000 --> 00:02.000\none\ntwo\n\n00:03.000 --> 00:04.000\nthree"
    for text in (srt, vtt, "\ufeff" + srt):
        assert words(text.replace("\n", newline)) == ["one two", "three"]


def test_names_notes_and_styles_of_webvtt_are_no_speech() -> None:
    text = """WEBVTT - a title
Kind: captions

NOTE
a remark, of
two lines

STYLE
::cue { color: red }

REGION
id:fred

intro
00:01.000 --> 00:02.000 align:start position:10%
first words

3
00:05.000 --> 00:06.000
the code is
4711

NOTE the end
"""
    found = parse(text)
    assert found.cues == [Cue(1, 2, "first words"), Cue(5, 6, "the code is\n4711")]
    assert (found.untimed, found.long) == (0, 0)


def test_webvtt_without_its_signature_keeps_its_grammar() -> None:
    assert words(
        "a name\n00:01.000 --> 00:02.000\nhi\n\nNOTE no\n\nb\n00:03.000 --> 00:04.000\nyou", ".vtt"
    ) == [
        "hi",
        "you",
    ]


@pytest.mark.parametrize(
    ("stamps", "start", "end"),
    [
        ("00:00:01,000 --> 00:00:02,500", 1, 2.5),
        ("00:00:01.000-->00:00:02.5", 1, 2.5),
        ("0:1:1,5 --> 0:1:2", 61.5, 62),
        ("01:01.500 --> 01:02.000", 61.5, 62),
        ("100:00:03,000 --> 1000:00:05,000", 360003, 3600005),
        ("99:59:58,000 --> 100:00:02,000", 359998, 360002),
        ("00:00:-1,-500 --> 00:00:03,000", 0, 3),
        ("-00:00:01,500 --> 00:00:03,000", 0, 3),
        ("00:00:01:250 --> 00:00:02:500", 1.25, 2.5),
        ("00:00:01,000 --> 00:00:02,500  X1:100 X2:600 Y1:50 Y2:100", 1, 2.5),
        ("00:00:01,000 -> 00:00:02,500", 1, 2.5),
        ("00: 00: 01,000 -> 00: 00: 02, 500", 1, 2.5),
        ("00\uff1a00\uff1a01\uff0c000 --> 00\uff1a00\uff1a02\uff0c500", 1, 2.5),
        ("00:00:01,000 \u2013> 00:00:02,500", 1, 2.5),
        ("00:00:01,000 \u2192 00:00:02,500", 1, 2.5),
        ("00:00:01,000 => 00:00:02,500", 1, 2.5),
        ("00:00:01,000 - 00:00:02,500", 1, 2.5),
        ("0:00:01.000,0:00:02.500", 1, 2.5),
        ("00:00:01,000 to 00:00:02,500", 1, 2.5),
    ],
)
def test_times(stamps: str, start: float, end: float) -> None:
    assert said(f"1\n{stamps}\nhi\n\n2\n00:00:00,000 --> 2000:00:00,000\nyou\n") == [
        (start, end, "hi"),
        (0, 7200000, "you"),
    ]


TIMING = "00:00:0{},000 --> 00:00:0{},500"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # numbers that are speech
        ("1\nT1\nThe year is\n1984\n\n2\nT2\nLift off in\n3", ["The year is 1984", "Lift off in 3"]),
        ("1\nT1\n1984\n\n2\nT2\n2", ["1984", "2"]),
        ("1\nT1\nThree, two,\n2\n\n2\nT2\nyes", ["Three, two, 2", "yes"]),
        ("T1\nThe year is\n1984\n\nT2\nLift off in\n3\n", ["The year is 1984", "Lift off in 3"]),
        ("T1\nOne\n2\n\nT2\nyes", ["One 2", "yes"]),
        # counters of every habit
        ("1\nT1\none\n2\nT2\ntwo\n3\nT3\nthree", ["one", "two", "three"]),
        ("1\n\nT1\n\none\n\n2\n\nT2\n\ntwo\n", ["one", "two"]),
        ("7\nT1\none\n\n\n\n7\nT2\ntwo\n", ["one", "two"]),
        ("1\nT1\n\n2\nT2\ntwo\n\n3\n", ["two"]),
        # an empty line inside a cue
        ("1\nT1\none\n\nmore\n\n2\nT2\ntwo", ["one more", "two"]),
    ],
)
def test_a_counter_is_no_speech_and_a_number_said_is(text: str, expected: list[str]) -> None:
    for number in "123":
        text = text.replace(f"T{number}", TIMING.format(number, number))
    assert words(text) == expected


def test_two_times_that_are_said_are_no_times_of_a_cue() -> None:
    assert words("1\n00:00:01,000 --> 00:00:02,000\nOpen from\n9:30 - 12:00\n") == ["Open from 9:30 - 12:00"]


def test_cues_without_usable_times_are_counted_and_say_nothing() -> None:
    stamps = [
        "00:00:05,000 --> 00:00:05,000",
        "00:00:06,000 --> 00:00:02,000",
        "00:00:0x,000 --> 00:00:02,000",
        "00:00:-9,000 --> 00:00:-2,000",
        "00:00:07,000 --> 00:00:08,000",
    ]
    found = parse("\n\n".join(f"{i}\n{stamp}\nwords {i}" for i, stamp in enumerate(stamps, 1)))
    assert found.cues == [Cue(7, 8, "words 5")]
    assert found.untimed == 4
    vtt = "WEBVTT\n\n00:01.000 --> oh\none\n\nforgotten\n\n00:02.000 --> 00:03.000\ntwo"
    found = parse(vtt)
    assert (words(vtt), found.untimed) == (["two"], 2)


def test_a_cue_too_long_is_counted_and_the_others_are_read() -> None:
    for start in ("", "WEBVTT\n\n"):
        long = "00:00:01.000 --> 00:00:02.000\n" + "word " * 3000
        found = parse(f"{start}1\n{long}\n\n2\n00:00:03.000 --> 00:00:04.000\nshort\n")
        assert (found.cues, found.long) == ([Cue(3, 4, "short")], 1)


BULK = 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        "1\n00:00:01,000 --> 00:00:02,000\n" + "<a" * (BULK // 2),
        "1\n00:00:01,000 --> 00:00:02,000\n" + "{\\p1" * (BULK // 4),
        "WEBVTT\n\n00:01.000 --> 00:02.000\n" + "&" * BULK,
        "WEBVTT\n\n" + "ab\n\n" * (BULK // 4),
        "1\n00:00:01,000 --> 00:00:02,000\n" + "ab\n" * (BULK // 3),
        "\n" * BULK + "x",
        "x" + " " * BULK + "x",
        "x" + "\n " * (BULK // 2) + "x",
        "--> " * MOST_CUES + "0:0" * BULK,
        "[Events]\n" + "Dialogue: " * (BULK // 10),
        "[Events]\nFormat:" + "a," * (BULK // 2) + "\nDialogue: 0",
        "9" * BULK + ":00:00,000 --> 00:00:02,000\nhi",
    ],
    ids=lambda text: text[:12],
)
def test_time_and_memory_grow_with_the_length_alone(text: str) -> None:
    tracemalloc.start()
    began = time.process_time()
    found = parse(text)
    seconds = time.process_time() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.cues) == 0
    assert seconds < 5  # a square of the length takes many minutes
    assert peak < 40 * BULK


@pytest.mark.parametrize("ending", ["2,000", "0,000"])
def test_too_many_cues_are_refused(ending: str) -> None:
    cue = f"1\n00:00:01,000 --> 00:00:0{ending}\na\n\n"
    event = f"Dialogue: 0,0:00:01.00,0:00:0{ending.replace(',', '.')},a,,0,0,0,,a\n"
    for text in (cue * (MOST_CUES + 1), "[Events]\n" + event * (MOST_CUES + 1)):
        with pytest.raises(
            InvalidInput,
            match=r"more than 100000 cues; .* raise --max-subtitle-mb",
        ):
            parse(text)
