"""Versions and parts with something in every field, for tests that set a few of them."""

import dataclasses
from typing import Any

from engine.entries import EncoderEntry, Part, Version

MODEL = "enc/mean-pool"


def version(**changed: Any) -> Version:
    """Return a version to be committed, without shards unless they are given."""
    made = Version(
        id="",
        number=0,
        parent="",
        reason="build",
        created="",
        collection="default",
        encoder=EncoderEntry("enc", "enc"),
        projector=None,
        ranker=None,
        embedding_model=MODEL,
        dim=8,
        segment_length=4.0,
        factory="Flat",
        quantizer_sha256="",
        videos=sum(shard.videos for shard in changed.get("shards", ())),
        segments=sum(shard.segments for shard in changed.get("shards", ())),
        shards=(),
        streams={},
    )
    return dataclasses.replace(made, **changed)


def part(**changed: Any) -> Part:
    """Return what part.json says, to be sealed."""
    made = Part(
        id="",
        embedding_model=MODEL,
        dim=8,
        segment_length=4.0,
        factory="Flat",
        code="IxFI",
        faiss="1",
        quantizer_sha256="",
        ranker="",
        contexts="",
        videos=1,
        segments=1,
        streams={},
        files={},
    )
    return dataclasses.replace(made, **changed)
