"""Page tokens: a cached ranked list, or the search that makes it again; pages cannot shift."""

import base64
import binascii
import hashlib
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cachetools import TTLCache
from google.protobuf.message import DecodeError

from engine.errors import InvalidInput
from engine.listed import Listed
from spr.v1.search_service_pb2 import SearchRequest

Kept = TypeVar("Kept")
# Characters. A sentence takes some hundred, a vector of 2048 values eleven thousand.
LONGEST = 16_384
_HEAD = struct.Struct(">16sI")


@dataclass(frozen=True, slots=True)
class Token:
    """What a page token says. digest: of the ranked list. offset: the page's first row.

    request: the search that made the list, pinned to its version; empty if it was too large for a token.
    """

    digest: bytes
    offset: int
    request: SearchRequest

    def text(self) -> str:
        """Return it as callers send it."""
        head = _HEAD.pack(self.digest, self.offset)
        if self.request.ByteSize() > LONGEST:  # pictures
            return base64.urlsafe_b64encode(head).rstrip(b"=").decode()
        data = base64.urlsafe_b64encode(head + self.request.SerializeToString(deterministic=True))
        if len(data) > LONGEST:
            data = base64.urlsafe_b64encode(head)
        return data.rstrip(b"=").decode()

    @classmethod
    def parse(cls, text: str) -> "Token":
        """Read a token that a caller sent; InvalidInput PAGE_TOKEN_INVALID unless `text` made it."""
        try:
            data = base64.urlsafe_b64decode(text[: LONGEST + 1].encode("ascii") + b"=" * (-len(text) % 4))
            request = SearchRequest.FromString(data[_HEAD.size :])
            hashed, offset = _HEAD.unpack(data[: _HEAD.size])
            token = cls(hashed, offset, request)
        except (binascii.Error, struct.error, DecodeError, UnicodeEncodeError):
            raise refusal("is garbled") from None
        if token.text() != text:
            raise refusal("is garbled")
        return token


class PageStore(Generic[Kept]):
    """Ranked lists by digest: an LRU cache of at most `size` lists, none older than `ttl` seconds.

    weigh: as how many lists one counts, so that long ones are fewer.
    """

    def __init__(
        self,
        size: int,
        ttl: float,
        clock: Callable[[], float] = time.monotonic,
        weigh: Callable[[Kept], float] = lambda _: 1.0,
    ) -> None:
        self._kept: TTLCache[bytes, Kept] = TTLCache(size, ttl, clock, weigh)
        self._weigh = weigh

    def keep(self, digest: bytes, value: Kept) -> None:
        """Cache a list."""
        if self._weigh(value) <= self._kept.maxsize:
            self._kept[digest] = value

    def find(self, digest: bytes) -> Kept | None:
        """Return a list, None if it is gone."""
        return self._kept.get(digest)


def digest(listed: Listed) -> bytes:
    """Return what tells a ranked list from another, to the bit: its moments, coverage, version and models."""
    answer = listed.answer
    m = answer.moments
    about = (listed.version, listed.embedding_model, answer.ranker_model, answer.truncated, answer.coverage)
    hashed = hashlib.blake2b(repr((*about, answer.allowed, listed.facets, m.also)).encode(), digest_size=16)
    columns = (m.videos, m.spans, m.scores, m.relevances, m.proposals, m.refined, m.confidences, m.parts)
    for column in columns:
        hashed.update(b"" if column is None else column.tobytes())
    hashed.update(repr(m.confidence_threshold).encode())
    return hashed.digest()


def refusal(why: str, remedy: str = "search again from the first page") -> InvalidInput:
    """Return the error of a page token that leads to no page."""
    message = f"the page token {why}; {remedy}"
    return InvalidInput(message, "PAGE_TOKEN_INVALID", "page_token")
