import click
import pytest

from spr_cli.options import ADDRESS, SECONDS, WORDS


@pytest.mark.parametrize("value", ["0", "-1", "nan", "-inf", "ten", ""])
def test_no_time_to_wait_is_refused(value: str) -> None:
    with pytest.raises(click.BadParameter, match="write"):
        SECONDS.convert(value, None, None)


def test_seconds_may_have_no_end() -> None:
    assert SECONDS.convert("2.5", None, None) == 2.5
    assert SECONDS.convert("1e10", None, None) is None
    assert SECONDS.convert("inf", None, None) is None


@pytest.mark.parametrize(
    "value", ["", "127.0.0.1", ":7400", "127.0.0.1:99999", "host:0", "a b:7400", "::1:7400"]
)
def test_what_is_no_address_is_refused(value: str) -> None:
    with pytest.raises(click.BadParameter, match="write HOST:PORT"):
        ADDRESS.convert(value, None, None)


@pytest.mark.parametrize(
    "value", ["127.0.0.1:7400", "[::1]:1", "a-b.example:65535", "unix:/run/spr", "dns:///spr"]
)
def test_addresses_stay_as_they_are(value: str) -> None:
    assert ADDRESS.convert(value, None, None) == value


def test_text_is_unicode() -> None:
    assert WORDS.convert("a red ball, ein roter Ball, 赤い玉", None, None).startswith("a red")
    with pytest.raises(click.BadParameter, match=r"b'red\\xff' is not UTF-8 from character 4 on"):
        WORDS.convert("red\udcff", None, None)
