"""Structured logs: one JSON object a line on stderr, each with the id of the request it belongs to."""

import contextvars
import json
import logging
import sys
import time
import uuid

from engine.errors import InvalidInput

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")

_PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; `extra=` fields become keys."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id.get():
            line["request_id"] = request_id.get()
        line.update({key: value for key, value in vars(record).items() if key not in _PLAIN})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure(level: str = "info") -> None:
    """Send this process's logs to stderr as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def bind_request_id(given: str) -> str:
    """Make `given`, or a new id if it is empty, this request's id; InvalidInput if it cannot be logged."""
    if len(given) > 64 or not (given.isascii() and (given + "x").isprintable()):
        raise InvalidInput("request_id must be at most 64 printable ASCII characters", field="request_id")
    bound = given or uuid.uuid4().hex
    request_id.set(bound)
    return bound
