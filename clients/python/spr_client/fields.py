"""Fields of messages, set with an error that names what cannot be."""

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
