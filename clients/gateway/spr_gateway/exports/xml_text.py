"""Text that XML can hold."""

import re

# XML 1.0 has no other characters, not even escaped.
_NONE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def readable(text: str) -> str:
    """Return a text with U+FFFD for what XML cannot hold: controls, halves of characters."""
    return _NONE.sub("\ufffd", text)
