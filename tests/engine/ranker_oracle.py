"""Ranker workers that answer the internal protos with plain numpy."""

from typing import Any

import grpc
import numpy as np

from engine import wire
from engine.errors import InvalidInput, Mismatch, SprError
from engine.types import EncodedQuery
from spr.internal.v1 import encoder_service_pb2_grpc, ranker_service_pb2, ranker_service_pb2_grpc
from tests.engine.corpus import MODEL, RANKER, Corpus, sentence
from tests.engine.holding import Held, Versions, on_duty


def refuse(code: grpc.StatusCode | None) -> None:
    if code is not None:
        error = SprError("told to refuse", code.name)
        error.status = code
        raise error


class RankerOracle(
    Versions, ranker_service_pb2_grpc.RankerServiceServicer, encoder_service_pb2_grpc.EncoderServiceServicer
):
    def __init__(self, library: dict[str, Corpus]) -> None:
        super().__init__(library)
        self.encoding, self.ranking, self.meant = Held(), Held(), list[bool]()
        self.weighs = False  # whether it says that it weighs texts
        self.shards: list[int] | None = None  # whose contexts it holds; None: all
        self.refuses: grpc.StatusCode | None = None

    def RankTogether(self, request: Any, context: Any) -> Any:
        # As a worker of the last release.
        refuse(grpc.StatusCode.UNIMPLEMENTED)

    @on_duty
    def Encode(self, request: Any, context: Any) -> Any:
        self.encoding.enter()
        refuse(self.refuses)
        self.of(request.generation)
        if request.text == "broken":
            raise RuntimeError("secret detail")
        # The tokens carry the sentence, so that Rank can be checked against it.
        tokens = np.frombuffer(request.text.encode().ljust(64), np.uint8).astype(np.float32)[:, None]
        self.meant.append(request.sentence)
        vector = sentence(request.text)
        meaning = vector if request.sentence else None
        long = len(request.text) > 50
        response = wire.encoded_to_pb(EncodedQuery(vector, tokens, vector, MODEL, long, sentence=meaning))
        response.generation = request.generation
        return response

    @on_duty
    def EncodeExamples(self, request: Any, context: Any) -> Any:
        """Take what a picture holds for a sentence."""
        refuse(self.refuses)
        self.of(request.generation)
        if any(one.image == b"bad" for one in request.examples):
            raise InvalidInput("the picture is bad; send a good one", field="examples[0].image")
        text = ", ".join(one.image.decode() for one in request.examples)
        vector, tokens = sentence(text), np.zeros((0, 1), np.float32)
        response = wire.encoded_to_pb(EncodedQuery(vector, tokens, vector, MODEL))
        response.generation = request.generation
        return response

    @on_duty
    def Rank(self, request: Any, context: Any) -> ranker_service_pb2.RankResponse:
        self.ranking.enter()
        refuse(self.refuses)
        tokens = wire.tensor_from_pb(request.token_states, [None, 1], "token_states")
        text = tokens[:, 0].astype(np.uint8).tobytes().decode().strip()
        videos = wire.ints_from_bytes(request.video_ordinals, "videos")
        spans = wire.doubles_from_bytes(request.spans, "spans").reshape(-1, 2)
        corpus = self.of(request.generation)
        if request.found:
            table = wire.doubles_from_bytes(request.found, "found").reshape(-1, 3)
        else:
            if self.shards is not None and not set(videos) <= {
                v for s in self.shards for v in corpus.of_shard(s)
            }:
                raise Mismatch("of another shard", "SHARD_MISMATCH")
            rows = [corpus.judge(text, int(v), *map(float, s)) for v, s in zip(videos, spans, strict=True)]
            table = np.array(rows, np.float64).reshape(-1, 3)
        if request.part:
            found = wire.doubles_to_bytes(table)
            return ranker_service_pb2.RankResponse(generation=request.generation, found=found)
        return ranker_service_pb2.RankResponse(
            ranker_model=RANKER,
            generation=request.generation,
            spans=wire.doubles_to_bytes(table[:, :2]),
            scores=wire.doubles_to_bytes(table[:, 2]),
            relevances=wire.floats_to_bytes(table[:, 2]),
            refined=bytes([1] * len(table)),
            texts_weighed=self.weighs,
            best=wire.doubles_to_bytes(0.75 * table[:, 0] + 0.25 * table[:, 1]),
        )

    def Compare(self, request: Any, context: Any) -> ranker_service_pb2.CompareResponse:
        refuse(self.refuses)
        self.of(request.generation)
        text = wire.tensor_from_pb(request.text_embedding, [None], "text_embedding")
        return ranker_service_pb2.CompareResponse(
            generation=request.generation,
            step=wire.duration_to_pb(1.0),
            frames=wire.floats_to_bytes(np.array([text[0], request.video_ordinal / 100])),
        )

    def GetRankerInfo(self, request: Any, context: Any) -> ranker_service_pb2.GetRankerInfoResponse:
        held = self.listing()
        for one in held:
            one.shards.extend(f"shard-{shard:05d}" for shard in self.shards or ())
        return ranker_service_pb2.GetRankerInfoResponse(held=held, report=self.report())
