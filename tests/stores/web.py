"""A web server of videos whose folders say how it treats who asks for them."""

import contextlib
import re
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# Answers with fewer bytes than it says, from that byte of the file on.
SHORT_FROM = 1500


class _Handler(BaseHTTPRequestHandler):
    """`/whole/NAME`: all at once, no parts; `/short/NAME`: breaks off; `/secret/NAME`: 403; `/good/NAME`.

    `/polite/NAME`: for what is not there, a page.
    """

    protocol_version = "HTTP/1.1"
    files: Path
    sent: Counter[str]

    def do_HEAD(self) -> None:
        self._answer(head=True)

    def do_GET(self) -> None:
        self._answer(head=False)

    def _answer(self, head: bool) -> None:
        _, kind, name = self.path.split("/")
        path = self.files / name
        if kind == "polite" and not path.is_file():
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if kind == "secret" or not path.is_file():
            self.send_response(403 if kind == "secret" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data, wanted = path.read_bytes(), re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, last = 0, len(data) - 1
        if wanted and kind != "whole":
            first, last = int(wanted[1]), min(int(wanted[2] or last), last)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Accept-Ranges", "none" if kind == "whole" else "bytes")
        self.send_header("Content-Length", str(last + 1 - first))
        self.send_header("ETag", f'"{path.stat().st_mtime_ns}"')
        self.end_headers()
        if not head:
            sent = data[first : last + 1]
            if kind == "short" and last >= SHORT_FROM:
                sent, self.close_connection = sent[: max(0, SHORT_FROM - first)], True
            self.sent[name] += len(sent)
            self.wfile.write(sent)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def web(files: Path, sent: Counter[str] | None = None) -> Iterator[str]:
    """Serve a folder's files; yield the address, as in http://127.0.0.1:80. sent: counts bytes by name."""
    about = {"files": files, "sent": Counter() if sent is None else sent}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), about))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
