"""The HTTP listener of a process: /metrics for Prometheus, /healthz and /livez for what routes and restarts.

It has threads of its own, so it answers while the event loop or the models are busy.
"""

import asyncio
import logging
import socket
import socketserver
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from prometheus_client.exposition import choose_encoder

from engine import metrics, ports
from engine.access.listeners import is_loopback

_log = logging.getLogger("spr.metrics")
MOST = 8  # requests at once; further ones are closed unread
PATIENCE = 5.0  # seconds for a caller to send its request, and to read the answer, and for the event loop
TEXT = "text/plain; charset=utf-8"


_running: "_Server | None" = None
_loop: "asyncio.AbstractEventLoop | None" = None


def listen(address: str, takeover: bool = False) -> str:
    """Serve /metrics and /healthz at HOST:PORT, port 0 for a free one; return the address.

    takeover: whether a predecessor, which drains, may listen there still. Unavailable if the port is taken.
    """
    global _running
    if not takeover:
        ports.check_free(address)
    host, _, port = address.rpartition(":")
    if not is_loopback(host):
        _log.warning("the metrics at %s can be read from other machines", address)
    try:
        _running = _Server((host.strip("[]"), int(port)))
    except OSError:
        raise ports.taken(address) from None
    threading.Thread(target=_running.serve_forever, name="metrics", daemon=True).start()
    return f"{host}:{_running.server_address[1]}"


def close() -> None:
    """Stop listening: of two processes at one port a scrape would meet either."""
    global _running
    if _running is not None:
        _running.shutdown()
        _running.server_close()
        _running = None


def follow(loop: asyncio.AbstractEventLoop) -> None:
    """Let /livez tell whether this event loop runs; before that it tells of no fault."""
    global _loop
    _loop = loop


class _Request(BaseHTTPRequestHandler):
    timeout = PATIENCE

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, kind = choose_encoder(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, kind, encode(metrics.REGISTRY))
        elif path == "/healthz":
            self._tell(unfit(), "serving")
        elif path == "/livez":
            self._tell(hangs(), "alive")
        else:
            self._answer(HTTPStatus.NOT_FOUND, TEXT, b"/metrics, /healthz or /livez\n")

    def _tell(self, fault: str, well: str) -> None:
        state = HTTPStatus.SERVICE_UNAVAILABLE if fault else HTTPStatus.OK
        self._answer(state, TEXT, f"{fault or well}\n".encode())

    def _answer(self, state: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(state)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        _log.debug(format, *args)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    # `check_free` refuses a port that is taken by anything but a predecessor.
    allow_reuse_port = True

    def __init__(self, address: tuple[str, int]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._places = threading.BoundedSemaphore(MOST)
        super().__init__(address, _Request)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        _log.debug("a request for metrics failed", exc_info=True)


def unfit() -> str:
    """Return why the process is not fit to be asked, "" if it is: as its gRPC health says."""
    states = {s.labels["service"]: s.value for family in metrics.SERVING.collect() for s in family.samples}
    if not states:
        return "it starts"
    down = [service for service, state in states.items() if not state]
    return f"not serving: {', '.join(down)}" if down else ""


def hangs() -> str:
    """Return why the process is to be killed, "" if it is not: its event loop stands still."""
    ran = threading.Event()
    if _loop is None or _loop.is_closed():
        return ""
    try:
        _loop.call_soon_threadsafe(ran.set)
    except RuntimeError:  # closed meanwhile
        return ""
    return "" if ran.wait(PATIENCE) else f"the event loop has not run for {PATIENCE:g} s"
