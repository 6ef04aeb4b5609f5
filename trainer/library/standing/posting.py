"""One delivery: a POST of JSON over http or https, with a time limit, without following redirects.

The caller of an RPC chooses where the service sends requests to (SSRF). So hosts can be listed, only the
status line of an answer is read, and nothing of it is told to anybody but its number.
"""

import hashlib
import hmac
import http.client
import json
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit

from engine.config import LibraryConfig, Topology
from engine.errors import InvalidInput, PermissionDenied, quoted
from trainer.library.standing.rows import Delivery

PATIENCE = 10.0  # seconds of a delivery
LONGEST = 2000  # characters of a URL
FIELD = "standing_search.webhook"


class Hosts:
    """Where webhooks may lie. given: HOST or HOST:PORT, ".example.org" for all below it; None: anywhere."""

    def __init__(self, given: Sequence[str] | None) -> None:
        self._given = None if given is None else [one.lower() for one in given]

    @staticmethod
    def of(topology: Topology, library: LibraryConfig) -> "Hosts":
        """Return those of a topology: without any listed, all, or none with [access]."""
        everywhere = not library.webhook_hosts and topology.access is None
        return Hosts(None if everywhere else library.webhook_hosts)

    def check(self, url: str) -> SplitResult:
        """Return the parts of a webhook's URL; InvalidInput, PermissionDenied."""
        parts = _split(url)
        host = (parts.hostname or "").lower()
        if self._given is not None and not any(
            one in (host, parts.netloc.lower()) or (one.startswith(".") and host.endswith(one))
            for one in self._given
        ):
            there = ", ".join(self._given) or "none"
            raise PermissionDenied(
                f"{FIELD} {quoted(url)} lies outside of the hosts that may be called ({there}); write its "
                "host into webhook_hosts of [library] in the topology",
                "OUTSIDE_WEBHOOK_HOSTS",
            )
        return parts


def post(delivery: Delivery, collection: str, hosts: Hosts) -> str:
    """Send a match; return "" once it is taken, else what is wrong with the webhook."""
    try:
        parts = hosts.check(delivery.search.asked.webhook)
    except (InvalidInput, PermissionDenied) as error:
        return f"may not be called: {error}"
    body = json.dumps(content(delivery, collection), separators=(",", ":")).encode()
    make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = make(str(parts.hostname), parts.port, timeout=PATIENCE)
    # A time-out of a socket is of one step; this one is of all.
    limit = threading.Timer(PATIENCE, _cut, [connection])
    limit.daemon = True
    limit.start()
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, headers(delivery, body))
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException, AttributeError, UnicodeError) as error:
        return f"does not answer ({error or type(error).__name__})"
    finally:
        limit.cancel()
        connection.close()
    return "" if 200 <= status < 300 else f"answers {status}"


def content(delivery: Delivery, collection: str) -> dict[str, object]:
    """Return what is told of a match. delivery: names it for good, so that it can be taken once."""
    match, asked = delivery.match, delivery.search.asked
    start, end = match.span.start_offset, match.span.end_offset
    return {
        "delivery": f"{asked.id}/{match.number}",
        "number": match.number,
        "collection": collection,
        "search": {"id": asked.id, "name": asked.name, "text": asked.text},
        "video": match.video_id,
        "uri": match.uri,
        "start": round(start.seconds + start.nanos / 1e9, 3),
        "end": round(end.seconds + end.nanos / 1e9, 3),
        "confidence": round(match.confidence, 6),
        "version": match.version,
        "ranker": match.ranker_model,
        "time": match.create_time.ToJsonString(),
    }


def headers(delivery: Delivery, body: bytes) -> dict[str, str]:
    """Return the headers; the signature is of the time, a full stop and the body."""
    found = {
        "content-type": "application/json",
        "user-agent": "spr",
        "x-spr-delivery": f"{delivery.search.asked.id}/{delivery.match.number}",
        "x-spr-timestamp": f"{time.time():.0f}",
    }
    if delivery.search.secret:
        signed = found["x-spr-timestamp"].encode() + b"." + body
        found["x-spr-signature"] = (
            "sha256=" + hmac.new(delivery.search.secret, signed, hashlib.sha256).hexdigest()
        )
    return found


def _split(url: str) -> SplitResult:
    """Return the parts of a URL that can be called; InvalidInput."""
    wrong = ""
    if len(url) > LONGEST or not (url.isascii() and url.isprintable()) or " " in url:
        wrong = f"has other characters than a URL's, or more than {LONGEST}"
    with suppress(ValueError):
        parts = urlsplit(url)
        # `port` and the name are read here: they raise where there is none that can be.
        if not wrong and parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1):
            parts.hostname.encode("idna")
            if parts.username is None and parts.password is None:
                return parts
            wrong = "has a name or a password in it; let the receiver check the signature instead"
    raise InvalidInput(
        f"{FIELD} {quoted(url)} {wrong or 'cannot be called: write http://HOST/PATH or https://HOST/PATH'}",
        field=FIELD,
    )


def _cut(connection: http.client.HTTPConnection) -> None:
    with suppress(OSError, AttributeError):
        connection.sock.shutdown(2)
