"""A receiver of matches: a real HTTP server, which refuses until it is told otherwise."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

SECRET = "tell nobody"


@dataclass
class Receiver:
    """status: what it answers. tried, taken: what was posted while it refused, and since then."""

    url: str = ""
    status: int = 503
    tried: list[dict[str, Any]] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)

    def receive(self, headers: Any, body: bytes) -> int:
        signed = headers["x-spr-timestamp"].encode() + b"." + body
        wanted = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert headers["x-spr-signature"] == f"sha256={wanted}"
        told = json.loads(body)
        assert headers["x-spr-delivery"] == told["delivery"]
        (self.taken if self.status == 200 else self.tried).append(told)
        return self.status


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(receiver.receive(self.headers, body))
            self.send_header("location", "http://127.0.0.1:9/")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/matches?of=spr"
    yield receiver
    server.shutdown()
    server.server_close()
    thread.join()
