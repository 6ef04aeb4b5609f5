import base64

import numpy as np
import pytest

from engine.errors import InvalidInput
from engine.pages import LONGEST, PageStore, Token
from spr.v1.search_service_pb2 import SearchParams, SearchRequest
from tests.engine.asking import TEXT, embedding_of

DIGEST = bytes(range(16))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def token() -> Token:
    asked = SearchRequest(text=TEXT, version="00000001-0", params=SearchParams(nprobe=3), collection="c")
    return Token(DIGEST, 10, asked)


def test_a_list_is_found_until_it_expires() -> None:
    clock = Clock()
    pages: PageStore[str] = PageStore(size=2, ttl=60, clock=clock)
    pages.keep(DIGEST, "list")
    clock.now += 59.9
    assert pages.find(DIGEST) == "list"
    clock.now += 0.1
    assert pages.find(DIGEST) is None


def test_the_least_recently_used_list_goes_first() -> None:
    pages: PageStore[str] = PageStore(size=2, ttl=60)
    for name in ("first", "second"):
        pages.keep(name.encode(), name)
    pages.find(b"first")
    pages.keep(b"third", "third")
    assert pages.find(b"first") == "first"
    assert pages.find(b"second") is None


def test_without_room_no_list_is_kept() -> None:
    pages: PageStore[str] = PageStore(size=0, ttl=60)
    pages.keep(DIGEST, "list")
    assert pages.find(DIGEST) is None


def test_long_lists_count_as_several() -> None:
    pages: PageStore[str] = PageStore(4, 60.0, weigh=len)
    values = ("a", "bbb", "cc", "ddddd")
    for value in values:
        pages.keep(value.encode(), value)
    # What is longer than everything is not kept.
    assert [value for value in values if pages.find(value.encode())] == ["cc"]


def test_a_token_says_the_search_that_made_its_list() -> None:
    assert Token.parse(token().text()) == token()


def test_a_token_is_bounded_and_a_vector_that_is_too_long_is_left_out() -> None:
    for dim, whole in ((2048, True), (4096, False)):
        one = Token(DIGEST, 7, embedding_of(np.ones(dim)))
        assert len(one.text()) <= LONGEST
        assert (Token.parse(one.text()) == one) is whole


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "",
        "=",
        "a." + "9" * 5000,
        "é" * 28,
        token().text() + "=",
        token().text()[:-1] + "!",
        token().text() + "AAAA",
        token().text()[:20],
        "A" * (LONGEST + 100),
        base64.urlsafe_b64encode(DIGEST + b"\0\0\0\1" + b"\xff" * 7).decode().rstrip("="),
    ],
)
def test_a_garbled_token_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="the page token is garbled; search again") as refused:
        Token.parse(text)
    assert refused.value.reason == "PAGE_TOKEN_INVALID"
