"""What docs/client.md asks with grpcurl, asked as grpcurl does: with nothing but what reflection tells."""

import re
import shlex
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.clients.page.conftest import Page

DOCS = Path(__file__).parents[3] / "docs" / "client.md"


def commands() -> list[list[str]]:
    """Return the words of every grpcurl line of the docs."""
    text = DOCS.read_text().replace("\\\n", " ")
    return [shlex.split(line, comments=True)[1:] for line in re.findall(r"^grpcurl .*$", text, re.MULTILINE)]


def test_the_lines_of_the_docs_are_answered(page: Page) -> None:
    answers: dict[str, Any] = {}
    ports = {"127.0.0.1:7400": page.coordinator, "127.0.0.1:7401": page.admin}
    for words in commands():
        if "-plaintext" not in words:
            continue  # the same with TLS
        sent = words[words.index("-d") + 1] if "-d" in words else "{}"
        address, *asked = [word for word in words if word[:1] not in "-{"]
        with grpc.insecure_channel(ports[address]) as channel:
            known = ProtoReflectionDescriptorDatabase(channel)
            if asked[0] in ("list", "describe"):
                answers[asked[0]] = list(known.get_services())
                continue
            service, _, name = asked[0].rpartition("/")
            method = descriptor_pool.DescriptorPool(known).FindServiceByName(service).methods_by_name[name]
            request = json_format.Parse(sent, message_factory.GetMessageClass(method.input_type)())
            kind = "unary_stream" if method.server_streaming else "unary_unary"
            reply = message_factory.GetMessageClass(method.output_type)
            call = getattr(channel, kind)(f"/{asked[0]}", type(request).SerializeToString, reply.FromString)
            got = call(request, timeout=60)
            answers[name] = list(got) if method.server_streaming else got
    assert "spr.v1.SearchService" in answers["list"]
    assert answers["Search"].moments
    assert [answer.stage for answer in answers["ProgressiveSearch"]] == [1, 2]
    assert answers["ListVideos"].videos
    assert answers["GetStatus"].ListFields()
