"""Why no page answers at an address, for a sentence."""

from http.client import HTTPException


def why_not(error: Exception) -> str:
    """Return the reason in words; a port of gRPC answers bytes that are no HTTP."""
    if isinstance(error, HTTPException):
        return "what answers is no web page; pages have a port of their own, 7480 by default"
    return str(getattr(error, "reason", error))
