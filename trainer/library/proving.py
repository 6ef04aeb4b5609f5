"""The self-test of a merged part whose index holds codes: it finds what a build asks, or is not made."""

from pathlib import Path

import numpy as np
import torch

from engine import versions
from engine.catalogue import PartCatalogue
from engine.corpus import Corpus
from engine.entries import Version
from engine.types import Floats
from trainer.generation.check import ExactAnswers, count, reach, real_queries, sample_queries
from workers.index.factory import AUTO_RECALL, FAST_RECALL
from workers.index.part import IndexPart
from workers.index.vectors import Vectors
from workers.ranker.projection.projector import MeanPool, load_projector

# What `spr build` asks of an index by default, by its name in the version's settings.
_ASKED = {"auto": AUTO_RECALL, "fast": FAST_RECALL}


def prove(folder: Path, corpus: Corpus, catalogue: PartCatalogue) -> None:
    """Measure the index in `folder`, of the videos of `catalogue`; set the effort that takes to be enough.

    Against brute force over its own vectors. Mismatch (INDEX_UNFIT) where it finds less than is asked.
    """
    part = IndexPart.open(folder, "cpu")
    vectors = Vectors(part)
    queries = sample_queries(_real(corpus, count(len(vectors))), vectors)
    starts = np.cumsum(catalogue.segments, dtype=np.int64) - catalogue.segments
    truth = ExactAnswers(vectors, queries, [starts])
    reach([folder], [part], truth, corpus.version.factory, asked(corpus.version))


def asked(version: Version) -> float:
    """Return the recall that the version's build asked of its index, 0 for nothing."""
    said = version.settings.get("recall")
    return float(_ASKED.get(str(version.settings.get("index")), 0.0) if said is None else said)


def _real(corpus: Corpus, most: int) -> Floats:
    version, device = corpus.version, torch.device("cpu")
    entry = version.projector
    projector = load_projector(versions.model_path(corpus.directory, entry), device) if entry else MeanPool()
    return real_queries(
        corpus.directory, version.index_encoder.fingerprint, projector, device, version.dim, most
    )
