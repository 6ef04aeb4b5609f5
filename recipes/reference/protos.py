"""The pages of spr.v1, a page a .proto: services, messages and enums with their comments."""

import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from google.protobuf import descriptor_pb2
from grpc_tools import protoc

PROTOS = Path(__file__).parents[2] / "protos"
_FILE = descriptor_pb2.FileDescriptorProto
_FIELD = descriptor_pb2.FieldDescriptorProto
# Places in a descriptor, by the numbers of their fields: what source locations are named with.
_MESSAGE, _ENUM, _SERVICE = 4, 5, 6
_SYNTAX, _MEMBER, _NESTED, _NESTED_ENUM = (12,), 2, 3, 4
Path_ = tuple[int, ...]


def pages() -> dict[str, str]:
    """Return the text of every page by the name of its file."""
    files = [file for file in _described() if file.package == "spr.v1"]
    homes = {name: f"{Path(file.name).stem}.md" for file in files for name in _names(file)}
    return {f"{Path(file.name).stem}.md": "\n".join(_Page(file, homes).lines()) for file in files}


def _described() -> list[_FILE]:
    well_known = Path(protoc.__file__).parent / "_proto"
    sources = sorted((PROTOS / "spr" / "v1").glob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        words = ["protoc", f"-I{PROTOS}", f"-I{well_known}", "--include_source_info"]
        if protoc.main([*words, f"--descriptor_set_out={out}", *map(str, sources)]) != 0:
            raise SystemExit("protoc failed")
        return list(descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file)


def _names(file: _FILE) -> Iterator[str]:
    """Yield the full names of the file's messages and enums."""
    for message in file.message_type:
        yield from _within(message, f".{file.package}")
    for enum in file.enum_type:
        yield f".{file.package}.{enum.name}"


def _within(message: descriptor_pb2.DescriptorProto, prefix: str) -> Iterator[str]:
    name = f"{prefix}.{message.name}"
    yield name
    for nested in message.nested_type:
        yield from _within(nested, name)
    for enum in message.enum_type:
        yield f"{name}.{enum.name}"


class _Page:
    """One file as Markdown. homes: the page of every message and enum, by full name."""

    def __init__(self, file: _FILE, homes: Mapping[str, str]) -> None:
        self._file, self._homes, self._own = file, homes, f"{Path(file.name).stem}.md"
        places = file.source_code_info.location
        self._said = {tuple(place.path): place.leading_comments.strip("\n") for place in places}

    def lines(self) -> Iterator[str]:
        """Yield the lines."""
        file = self._file
        yield f"# `{file.name}`"
        yield from ("", "Reference, written by `make docs-api` from the comments of the file.")
        for number, service in enumerate(file.service):
            yield from self._service(service, (_SERVICE, number))
        for number, message in enumerate(file.message_type):
            yield from self._message(message, message.name, (_MESSAGE, number))
        for number, enum in enumerate(file.enum_type):
            yield from self._enum(enum, enum.name, (_ENUM, number))
        yield ""

    def _service(self, service: descriptor_pb2.ServiceDescriptorProto, path: Path_) -> Iterator[str]:
        yield from ("", f"## {service.name}", *self._comment(path))
        for number, method in enumerate(service.method):
            yield from ("", f"### {service.name}.{method.name}", "")
            stream = "a stream of " if method.server_streaming else ""
            yield f"| {self._link(method.input_type)} | {stream}{self._link(method.output_type)} |"
            yield "|---|---|"
            yield from self._comment((*path, _MEMBER, number))

    def _message(self, message: descriptor_pb2.DescriptorProto, name: str, path: Path_) -> Iterator[str]:
        yield from ("", f"## {name}", *self._comment(path))
        if message.field:
            yield from ("", "| field | type | |", "|---|---|---|")
        for number, field in enumerate(message.field):
            text = self._cell((*path, _MEMBER, number))
            one_of = field.HasField("oneof_index") and not field.proto3_optional
            group = f" (one of `{message.oneof_decl[field.oneof_index].name}`)" if one_of else ""
            yield f"| `{field.name}` | {self._type(field)}{group} | {text} |"
        for number, nested in enumerate(message.nested_type):
            yield from self._message(nested, f"{name}.{nested.name}", (*path, _NESTED, number))
        for number, enum in enumerate(message.enum_type):
            yield from self._enum(enum, f"{name}.{enum.name}", (*path, _NESTED_ENUM, number))

    def _enum(self, enum: descriptor_pb2.EnumDescriptorProto, name: str, path: Path_) -> Iterator[str]:
        yield from ("", f"## {name}", *self._comment(path), "", "| value | |", "|---|---|")
        for number, value in enumerate(enum.value):
            yield f"| `{value.name}` | {self._cell((*path, _MEMBER, number))} |"

    def _type(self, field: _FIELD) -> str:
        kind = _FIELD.Type.Name(field.type).removeprefix("TYPE_").lower()
        name = self._link(field.type_name) if field.type_name else kind
        if field.label == _FIELD.LABEL_REPEATED:
            return f"repeated {name}"
        return f"optional {name}" if field.proto3_optional else name

    def _link(self, full: str) -> str:
        short = full.removeprefix(f".{self._file.package}.")
        if full not in self._homes:
            return f"`{full.lstrip('.')}`"
        home = self._homes[full]
        anchor = short.lower().replace(".", "")
        return f"[{short}]({'' if home == self._own else home}#{anchor})"

    def _comment(self, path: Path_) -> Iterator[str]:
        """Yield a comment as text; its indented lines, tables of errors, as a block."""
        if not (text := self._said.get(path, "")):
            return
        lines = text.split("\n")
        plain = [line.strip() for line in lines if not line.startswith("  ")]
        block = [line for line in lines if line.startswith("  ")]
        yield from ("", *textwrap.wrap(" ".join(plain), 100))
        if block:
            yield from ("", "```", *textwrap.dedent("\n".join(block)).split("\n"), "```")

    def _cell(self, path: Path_) -> str:
        words = " ".join(self._said.get(path, "").split())
        return words.replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")
