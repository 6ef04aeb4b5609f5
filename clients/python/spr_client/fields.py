"""Fields of messages, set with an error that names what cannot be."""

from collections.abc import Iterable

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from spr_client.errors import InvalidInput

BAD = "BAD_PARAMETER"
_MAY_BE = {
    FieldDescriptor.TYPE_STRING: "text that can be written in UTF-8",
    FieldDescriptor.TYPE_BOOL: "True or False",
    FieldDescriptor.TYPE_INT32: "a whole number that fits in 32 bits",
    FieldDescriptor.TYPE_UINT32: "a whole number from 0 to 4294967295",
    FieldDescriptor.TYPE_FLOAT: "a number",
    FieldDescriptor.TYPE_DOUBLE: "a number",
}


def put(message: Message, name: str, value: object) -> None:
    """Set a field of a message; InvalidInput names it and what it may be."""
    try:
        setattr(message, name, value)
    except (TypeError, ValueError):
        field = message.DESCRIPTOR.fields_by_name[name]
        shown = repr(value)[:80]
        raise InvalidInput(
            f"{name} is {shown}; it must be {_MAY_BE.get(field.type, 'another')}", BAD
        ) from None


def put_given(message: Message, name: str, value: object) -> None:
    """Set a field as `put` does, unless the value is None, which somebody left out."""
    if value is not None:
        put(message, name, value)


def texts(name: str, given: Iterable[str]) -> list[str]:
    """Return a list of texts; InvalidInput with its name where it is none, or holds what cannot be sent."""
    found = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [None]
    if not all(isinstance(text, str) and text.encode(errors="ignore").decode() == text for text in found):
        raise InvalidInput(f"{name} is {given!r:.80}; give a list of texts in Unicode", BAD)
    return [str(text) for text in found]
