"""What of a cue's text is words."""

import pytest

from trainer.ingest.markup import clean


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("a < b and c > d", "a < b and c > d"),
        ("I <3 you -> forever >", "I <3 you -> forever >"),
        ("if x<y then z>w", "if x<y then z>w"),
        ("if (a<b && b>c) or a <i and c> d", "if (a<b && b>c) or a <i and c> d"),
        ("<p class=x>one</p><p>two</p>", "one two"),
        ("{Y:i}one {s:12}two {s: a string}", "one two {s: a string}"),
        ("\u202bin\u00adside\u202c\u200f", "inside"),
        ("<sigh> no <laughs>", "<sigh> no <laughs>"),
        ("{laughs} well", "{laughs} well"),
        ("<00:01.500>one <b>two</b>", "one two"),
        ("how<00:00:04.300><c> are</c><00:00:04.600><c> you</c>", "how are you"),
        ('<v.loud Anna>Hello <c.yellow.bg_blue>there</c> <FONT color="red">you</FONT>', "Hello there you"),
        ("one<br>two<BR/>three", "one two three"),
        ("{\\pos(3,4)}one\\Ntwo\\hthree", "one two three"),
        ("{\\an8\\p1}m 0 0 l 100 0{\\p0}", ""),
        ("&lt;3 &nbsp; you &amp;lt;", "<3 you &lt;"),
        ("AT&T &notit &copy 1 &#8212;&#x2014;", "AT&T &notit &copy 1 ——"),
        ("<|en|><|0.00|> green spins<|2.00|>", "green spins"),
        ("[_BEG_] green [BLANK_AUDIO] spins[_TT_150]", "green spins"),
        ("[BLANK_AUDIO]", ""),
        ("[Music] [_a_]", "[Music] [_a_]"),
        ("a\x00b\x1b[31m", "ab[31m"),
        ("...", ""),
        ("♪", ""),
        ("日本語", "日本語"),
        ("save it to C:\\new\\hello.txt", "save it to C:\\new\\hello.txt"),
        ("(d:\\Night), or \\\\nas\\home\\Nina", "(d:\\Night), or \\\\nas\\home\\Nina"),
        ("<i>one:\\Ntwo</i>\\nthree\\h\\hfour", "one: two three four"),
        ("\u200b", ""),
        ("sprite.jpg#xywh=0,0,160,90", ""),
        (
            '<font size="28">SrtCnt : 1\n[iso : 110] [shutter : 1/200.0] [fnum : 280]</font>',
            "",
        ),
        ("HOME(149.0,-20.2) 2017.08.05\nGPS(149.0,-20.2,16)\nISO:100 Shutter:60 EV: Fnum:2.2", ""),
        ("F/2.8, SS 206.14, ISO 150, EV 0, GPS (-122.3699, 37.5929, 15), H 2.50m", ""),
        ("set ISO 100 and the shutter to 1/200", "set ISO 100 and the shutter to 1/200"),
        ("see sprite.jpg#xywh=0,0,160,90", "see sprite.jpg#xywh=0,0,160,90"),
        ("\u3164 \uffa0", ""),
        ("\u200bone\u200b \u200b two", "one two"),
        ("ខ្មែរ\u200bភាសា", "ខ្មែរ\u200bភាសា"),
    ],
)
def test_only_what_is_markup_is_taken_out(raw: str, words: str) -> None:
    assert clean(raw) == words


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("{\\p1}m 0 0 l 100 0 100 50{\\p0}", ""),
        ("{\\p1}m 0 0 l 100 0 100 50", ""),
        ("{\\pos(1,2)\\p4\\c&HFF&}m 0 0 l 1 1{\\p0}spoken {\\i1}words{\\i0}", "spoken words"),
        ("{\\pos(10,20)}spoken", "spoken"),
        ("{a remark}spoken\\Nwords", "spoken words"),
        ("{\\k20}spo{\\k30}ken", "spoken"),
        ("\\{laughs\\} well", "{laughs} well"),
        ("A:\\Nwell", "A: well"),
    ],
)
def test_drawings_and_remarks_of_ass_are_no_speech(raw: str, words: str) -> None:
    assert clean(raw, ass=True) == words
