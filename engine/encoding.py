"""Queries to vectors: what the coordinator has encoded, cached, and what one moment shows put together."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from cachetools import LRUCache

from engine import examples, metrics, names
from engine.corpus import Corpus
from engine.deadline import Deadline
from engine.errors import InvalidInput
from engine.examples import Clip, Example, Named, Part, Picture, Source, Span
from engine.names import Names
from engine.queries import Query, SearchOptions
from engine.ranking import Rankers
from engine.types import EncodedQuery

# Encoded sentences by models (embedding and sentence encoder) and text: what encodes are the models, whatever
# version it is for.
# Examples by version and hash. Of the event loop's thread alone: needs no lock. A sentence is 50 kB with a
# text tower of ViT-L/14's size.
Sentences: TypeAlias = "LRUCache[tuple[str, str], EncodedQuery]"


class QueryEncoder:
    """Encodes queries for one version. sentences: asked again, they need no encoder."""

    def __init__(self, corpus: Corpus, rankers: Rankers, sentences: Sentences) -> None:
        self._corpus, self._rankers, self._sentences = corpus, rankers, sentences
        self._names = Names(corpus.directory)
        texts = corpus.version.texts
        meaning = texts.encoder.fingerprint if texts is not None and texts.encoder is not None else ""
        self._models = f"{corpus.version.embedding_model}/{meaning}"

    async def encode(self, query: Query, deadline: Deadline) -> EncodedQuery:
        """Return a query as the index and the ranker need it."""
        if query.part is not None:
            return await self.part(query.part, query.options, deadline, query.field_of(0))
        if query.embedding is None:
            return await self.sentence(query.text, query.options, deadline)
        # A vector has no words for the ranker to read.
        model = self._corpus.version.embedding_model
        return EncodedQuery(query.embedding, np.empty((0, 0), np.float32), np.empty(0, np.float32), model)

    async def sentence(self, text: str, options: SearchOptions, deadline: Deadline) -> EncodedQuery:
        """Return a sentence as the index and the ranker need it; names in it are heeded."""
        return await self.part(Part(text), options, deadline, "")

    async def part(
        self, part: Part, options: SearchOptions, deadline: Deadline, field: str = "composed.parts[0]"
    ) -> EncodedQuery:
        """Return what one moment shows: its text, its examples, or a weighted sum of both.

        field: of the request, for errors; "" where `text` is its whole query. InvalidInput for an
        unknown name, NotFound for a video.
        """
        within = f"{field}." if field else ""
        text, named = names.split(part.text) if "@" in part.text else (part.text, [])
        shown = (*part.examples, *map(Named, named))
        if not shown:
            return await self._worded(text, options, deadline)
        if len(shown) > examples.MOST:
            message = f"there are {len(shown)} examples, names included; give at most {examples.MOST}"
            raise InvalidInput(message, field=f"{within}text")
        given = len(part.examples)
        # First, since a name or an id may be wrong.
        sources = [
            self._source(one, f"{within}examples[{place}].name" if place < given else f"{within}text")
            for place, one in enumerate(shown)
        ]
        try:
            seen = await self._examples(sources, deadline)
        except InvalidInput as error:
            # As the worker calls it, "examples[2].span".
            error.field = f"{within}{error.field.replace('.span', '.clip.span')}"
            raise
        if not text:
            return seen
        return examples.joined(await self._worded(text, options, deadline), seen, part.weight)

    def _source(self, example: Example, field: str) -> Source:
        """Return where an example is found. field: of a name, for errors."""
        if isinstance(example, Clip):
            return Span(self._corpus.catalogue.ordinal(example.video), example.start, example.end)
        if isinstance(example, Named):
            return self._names.frame(example.name, self._corpus.version, field)
        assert isinstance(example, Picture)
        return example

    async def _worded(self, text: str, options: SearchOptions, deadline: Deadline) -> EncodedQuery:
        """Return a sentence with its words, which are sought in texts."""
        whole = self._models, text
        in_texts = options.in_texts or whole in self._sentences
        key = whole if in_texts else (f"{self._models} seen", text)

        async def encode() -> EncodedQuery:
            return replace(await self._rankers.encode(text, deadline, in_texts=in_texts), text=text)

        return await self._cached(key, encode)

    async def _examples(self, sources: list[Source], deadline: Deadline) -> EncodedQuery:
        key = f"{self._corpus.id}/examples", examples.key_of(sources)
        return await self._cached(key, lambda: self._rankers.encode_examples(sources, deadline))

    async def _cached(
        self, key: tuple[str, str], encode: Callable[[], Awaitable[EncodedQuery]]
    ) -> EncodedQuery:
        known = self._sentences.get(key)
        metrics.bound(metrics.CACHE, "encoded_queries", "miss" if known is None else "hit").inc()
        if known is None:
            known = await encode()
            if self._sentences.maxsize:
                self._sentences[key] = known
        return known
