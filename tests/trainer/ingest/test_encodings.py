"""Bytes of every usual encoding into text, with a word where it is a guess."""

from unittest.mock import ANY

import pytest

from engine.errors import InvalidInput
from trainer.ingest.encodings import decode

LINES = {
    "cp1252": "Ich weiß nicht, was er später tun möchte.\nDas ist eine schöne Überraschung für alle.",
    "cp1250": "Wszystko będzie dobrze, zobaczysz.\nCześć, jak się masz? Żółta łódź płynie.",
    "cp1251": "Привет, мир. Это простая фраза.\nЯ не знаю, что он скажет завтра.",
    "koi8-r": "Привет, мир. Это простая фраза.\nЯ не знаю, что он скажет завтра.",
    "cp866": "Привет, мир. Это простая фраза.\nЯ не знаю, что он скажет завтра.",
    "cp1253": "Γεια σου κόσμε, τι κάνεις;\nΔεν ξέρω πού πήγε ο άνθρωπος.",
    "cp1255": "שלום עולם, מה שלומך?\nאני לא יודע איפה הוא.",
    "cp1256": "مرحبا بالعالم، كيف حالك؟\nلا أعرف أين ذهب الرجل.",
    "gb18030": "你好，世界，这是字幕\n我们明天去北京看朋友。",
    "big5": "你好，世界，這是字幕\n我們明天去臺北看朋友。",
    "shift_jis": "こんにちは、世界。これは字幕です。\n明日は東京へ行きます。",
    "euc_jp": "こんにちは、世界。これは字幕です。\n明日は東京へ行きます。",
    "iso2022_jp": "こんにちは、世界。これは字幕です。\n明日は東京へ行きます。",
    "hz": "大家好，今天我们一起做饭。\n先把蔬菜切好，然后放进锅里 ~ OK",
    "iso2022_kr": "안녕하세요, 세상. 이것은 자막입니다.\n내일 서울에 갑니다.",
    "euc_kr": "안녕하세요, 세상. 이것은 자막입니다.\n내일 서울에 갑니다.",
}
TIMES = "1\n00:00:01,000 --> 00:00:02,000\n"


@pytest.mark.parametrize("encoding", list(LINES))
def test_an_encoding_found_by_its_statistics_is_told(encoding: str) -> None:
    text = TIMES + LINES[encoding]
    found, doubt = decode(text.encode(encoding))
    assert found == text
    assert "save it as UTF-8" in doubt


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("cp1252", "Voilà, ça a été un élève\noù es-tu né ?"),
        ("cp1252", "Señor, ¿dónde está el niño?"),
        ("cp1252", "Smörgåsbord på ön"),
        ("iso8859_15", "déjà vu, c'est là"),
        ("shift_jis", "DVDを見る\nTシャツ"),
        ("gb18030", "卡拉OK\n我的T恤"),
    ],
)
def test_a_short_text_is_read_in_words_of_one_alphabet(encoding: str, words: str) -> None:
    found, doubt = decode((TIMES + words).encode(encoding))
    assert found == TIMES + words
    assert "save it as UTF-8" in doubt


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"]
)
@pytest.mark.parametrize("words", ["plain words", *LINES.values()])
def test_unicode_is_read_without_a_doubt(encoding: str, words: str) -> None:
    if encoding == "utf-32-le":
        encoded = b"\xff\xfe\0\0" + (TIMES + words).encode(encoding)
    else:
        encoded = (TIMES + words).encode(encoding)
    assert decode(encoded) == (TIMES + words, "")


def test_damaged_places_of_unicode_are_counted() -> None:
    text = TIMES + "Grüße, Mädchen, schöne Überraschung für später, Öl, Äpfel und noch größere Übel"
    found, doubt = decode(text.encode().replace(b"Gr", b"G\xffr"))
    assert found == text.replace("Grüße", "G\ufffdrüße")
    assert doubt == "1 of its characters are damaged"


def test_whatever_the_bytes_are_there_is_a_text() -> None:
    assert decode(b"") == ("", "")
    for data in (bytes(range(256)), b"\0" * 1000, b"\xff\xfe\0", b"\x81\x8d\x8f", b"\x1b$"):
        text, doubt = decode(data)
        assert isinstance(text, str)
        assert text == data.decode("ascii", "replace") or doubt


def test_each_kind_of_seven_bits_is_read() -> None:
    # Half-width letters have a set of their own, and so do the letters of 2004.
    for encoding, words in (("iso2022_jp_ext", "ｺﾝﾆﾁﾊ"), ("iso2022_jp_2004", "𠮟る")):
        assert decode((TIMES + words).encode(encoding)) == (TIMES + words, ANY)
    words = "大家好，今天我们一起做饭。"
    chinese = b"\x1b$)A\x0e" + bytes(byte & 0x7F for byte in words.encode("gb2312")) + b"\x0f ok"
    assert decode(TIMES.encode() + chinese) == (TIMES + words + " ok", ANY)
    unclosed = TIMES.encode() + words.encode("hz").removesuffix(b"~}") + b"\n\n"
    assert decode(unclosed) == (TIMES + words + "\n\n", ANY)
    with pytest.raises(InvalidInput, match="save it as UTF-8"):
        decode(b"\x1b$)G\x0e(!\x0f")


@pytest.mark.parametrize("words", ["~{lala~} ~{oh no~}", "{~ a ~}", "a ~ b ~{", "\x1b[31mred\x1b[0m", "~{}"])
def test_ascii_that_stands_for_itself_stays(words: str) -> None:
    assert decode(words.encode()) == (words, "")
