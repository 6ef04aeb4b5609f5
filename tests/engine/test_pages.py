import contextlib

import pytest

from engine.errors import InvalidInput
from engine.pages import PageStore


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_list_is_found_until_it_expires() -> None:
    clock = Clock()
    pages: PageStore[str] = PageStore(size=2, ttl=60, clock=clock)
    token = pages.token(pages.keep("list"), 10)
    clock.now += 59.9
    assert pages.find(token)[1:] == ("list", 10)
    clock.now += 0.1
    with pytest.raises(InvalidInput, match="expired") as error:
        pages.find(token)
    assert error.value.reason == "PAGE_TOKEN_INVALID"


def test_the_least_recently_used_list_goes_first() -> None:
    pages: PageStore[str] = PageStore(size=2, ttl=60)
    first, second = (pages.token(pages.keep(name), 0) for name in ("first", "second"))
    pages.find(first)
    pages.keep("third")
    assert pages.find(first)[1] == "first"
    with pytest.raises(InvalidInput):
        pages.find(second)


def test_without_room_no_list_is_kept() -> None:
    pages: PageStore[str] = PageStore(size=0, ttl=60)
    with pytest.raises(InvalidInput):
        pages.find(pages.token(pages.keep("list"), 0))


@pytest.mark.parametrize("tail", ["", ".", ".-1", ".x", ".²", "." + "1" * 5000])
def test_a_garbled_token_is_refused(tail: str) -> None:
    pages: PageStore[str] = PageStore(size=2, ttl=60)
    with pytest.raises(InvalidInput):
        pages.find(pages.keep("list") + tail)


def test_long_lists_count_as_several() -> None:
    pages: PageStore[str] = PageStore(4, 60.0, weigh=len)
    names = [pages.keep(value) for value in ("a", "bbb", "cc", "ddddd")]
    there = []
    for name in names:
        with contextlib.suppress(InvalidInput):
            there.append(pages.find(pages.token(name, 0))[1])
    assert there == ["cc"]  # what is longer than everything is not kept
