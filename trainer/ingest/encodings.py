"""Character encodings: decodes the bytes of a text file of any of them."""

import codecs
import re
import unicodedata

import chardet
from chardet import EncodingEra

from engine.errors import InvalidInput

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark begins it
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Without those of mainframes and old Macs: subtitles have none, and short texts are easily mistaken for them.
_ERAS = EncodingEra.MODERN_WEB | EncodingEra.LEGACY_ISO | EncodingEra.DOS
_SAMPLE = 64_000
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f\ufffd]")
# Lines of times and counters say nothing of a language; lines with these bytes do.
_TELLING_LINE = re.compile(rb"[^\r\n]*[\x80-\xff\x1b][^\r\n]*")
# Alphabets that no word shares with the Latin one; Chinese and Japanese words may.
_UNMIXED = frozenset({"ARABIC", "CYRILLIC", "GREEK", "HEBREW", "THAI"})
_WORD = re.compile(r"[^\W\d_]+")
# Encodings in ASCII bytes, of the time when mail had seven bits. ISO 2022 designates a set by an escape; its
# Korean and Chinese kinds then shift to it and back, and what is between is EUC without the eighth bit.
_JAPANESE = re.compile(rb"\x1b(\$[@AB]|\$\([CDOPQ]|\([IJ])")
_JAPANESE_KINDS = ("iso2022_jp_2", "iso2022_jp_ext", "iso2022_jp_2004")
_SHIFTING = {b"\x1b$)C": ("iso2022_kr", "euc_kr"), b"\x1b$)A": ("iso2022_cn", "gb2312")}
_SHIFTED = re.compile(rb"\x0e([^\x0f\r\n]*)\x0f?")
_TAIWANESE = re.compile(rb"\x1b\$(\)[EG]|[*+][HI-M])")
_HZ = re.compile(rb"~\{((?:[\x21-\x77][\x21-\x7e])+)(?:~\}|(?=[\r\n])|\Z)")


def decode(data: bytes) -> tuple[str, str]:
    """Return the text and what is doubtful about it, "" where nothing is.

    By byte order mark, then by escapes, then as Unicode, then by the statistics of the bytes: what is a guess
    is told. Raises InvalidInput, without the file's name, for an encoding that cannot be read.
    """
    known = next((name for mark, name in _MARKS.items() if data.startswith(mark)), None)
    known = known or _wide(data)
    if known is None and data.isascii() and (escaped := _escaped(data)) is not None:
        return escaped
    if known is None:
        try:
            return data.decode(), ""
        except UnicodeDecodeError:
            known = "utf-8" if _mostly_utf8(data) else None
    if known is not None:
        text = data.decode(known, "replace")
        broken = text.count("\ufffd")
        return text, f"{broken} of its characters are damaged" if broken else ""
    name = _guess(data)
    return data.decode(name, "replace"), _guessed(name)


def _guessed(name: str) -> str:
    return (
        f"it is not in Unicode and was read as {name}, which its bytes are likeliest to be; "
        "save it as UTF-8 if its words come out wrong"
    )


def _escaped(data: bytes) -> tuple[str, str] | None:
    """Return `decode` of ASCII bytes that stand for other letters, None where they stand for themselves."""
    if _TAIWANESE.search(data):
        raise InvalidInput("it is in ISO-2022-CN with letters that are not read here; save it as UTF-8")
    for designation, (name, wide) in _SHIFTING.items():
        if designation in data:
            plain = _SHIFTED.sub(_with_eighth_bit, data).replace(designation, b"")
            return plain.decode(wide, "replace"), _guessed(name)
    if _JAPANESE.search(data):
        texts = {name: data.decode(name, "replace") for name in _JAPANESE_KINDS}
        name = min(texts, key=lambda name: texts[name].count("\ufffd"))
        return texts[name], _guessed(name)
    pairs = b"".join(_HZ.findall(data))
    # Most characters are of the first half of the set, whose bytes are capitals; spelt words are not.
    if sum(byte < 0x58 for byte in pairs[::2]) * 4 > len(pairs):
        plain = _HZ.sub(_with_eighth_bit, data).replace(b"~~", b"~").replace(b"~\n", b"")
        return plain.decode("gb2312", "replace"), _guessed("hz")
    return None


def _with_eighth_bit(run: re.Match[bytes]) -> bytes:
    return bytes(byte | 0x80 for byte in run[1])


def _wide(data: bytes) -> str | None:
    """Return UTF-16's byte order where every other byte is often zero, as it is of ASCII in UTF-16."""
    head = data[:4000]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) * 20 < len(head) or min(even, odd) * 10 > max(even, odd):
        return None
    return ("utf-16-le" if odd > even else "utf-16-be") if head else None


def _mostly_utf8(data: bytes) -> bool:
    """Whether a text is UTF-8 with a damaged place, and not of another encoding."""
    text = data[:_SAMPLE].decode("utf-8", "replace")
    return text.count("\ufffd") * 5 <= len(_BEYOND_ASCII.findall(text))


def _guess(data: bytes) -> str:
    sample = bytearray()
    for line in _TELLING_LINE.finditer(data):
        sample += line.group()[:_SAMPLE] + b"\n"
        if len(sample) > _SAMPLE:
            break
    name = chardet.detect(bytes(sample), encoding_era=_ERAS)["encoding"] or "cp1252"
    try:
        words = sample.decode(name, "replace")
    except LookupError:
        return "cp1252"
    return "cp1252" if _mixes_alphabets(words) else name


def _mixes_alphabets(text: str) -> bool:
    """Whether most words beyond ASCII hold Latin letters beside those of another alphabet: a wrong guess."""
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    alphabets = [{unicodedata.name(char, "").partition(" ")[0] for char in word} for word in words]
    mixed = sum("LATIN" in found and bool(found & _UNMIXED) for found in alphabets)
    return mixed * 2 > len(words)
