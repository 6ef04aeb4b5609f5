"""Versions whose sentence vectors are less a centre, beside others, in one worker."""

import dataclasses
from pathlib import Path

import numpy as np

from engine import versions
from engine.corpus import open_corpus
from tests.workers.ranker.factories import TEXTS, Tiny, tiny
from tests.workers.ranker.test_sharing import holding
from workers.ranker.__main__ import _models
from workers.ranker.scoring.decode import DecodeConfig
from workers.ranker.scoring.fusion import Fusion, ScoreWeights
from workers.ranker.scoring.relo_ranker import KIND, RankerConfig, ReloRanker
from workers.ranker.sentences.centre import Centre
from workers.ranker.stores.checkpoint import save_model


def weighing_texts(made: Tiny) -> Tiny:
    """Return a collection whose versions have a ranker with a weight of texts."""
    entry = made.template.ranker
    assert entry is not None
    ranker = ReloRanker.open(versions.model_path(made.directory, entry))
    fusion = Fusion(ScoreWeights(said_meaning=1.0), ScoreWeights())
    config = RankerConfig(ranker.model.config, DecodeConfig(fusion=fusion))
    path = f"{entry.path}-weighing"
    name = save_model(made.directory / path, KIND, config, ranker.model.state_dict())
    template = dataclasses.replace(
        made.template, ranker=dataclasses.replace(entry, path=path, fingerprint=name)
    )
    return dataclasses.replace(made, template=template)


def test_versions_with_another_centre_share_the_models_and_none_of_the_sentences(tmp_path: Path) -> None:
    made = weighing_texts(tiny(tmp_path / "c", trained=True, contexts="float16", sentences=True))
    texts = made.template.texts
    assert texts is not None
    vectors = np.random.default_rng(0).standard_normal((40, texts.dim)).astype(np.float32)
    centre = Centre.of(vectors, vectors)
    centre.save(made.directory)
    named = dataclasses.replace(texts, centre_sha256=centre.sha256, usual_cosine=0.25)
    other = dataclasses.replace(made, template=dataclasses.replace(made.template, texts=named))
    before, after = made.version([made.part(["a"])]), other.version([other.part(["a"])])
    held = holding(made)
    held.prepare("default", before)
    old, new = held.get(before), held.get(after)
    assert old.texts is new.texts
    assert old.models.sentences is not None
    assert new.models.sentences is not None
    plain = old.models.encode(TEXTS[:1])[0].sentence
    assert plain is not None
    (less,) = centre.less(plain[None], centre.asked)
    found = new.models.encode(TEXTS[:1])[0].sentence
    assert found is not None
    assert (found == less).all()
    # What was fitted on texts of another centre is told by how sure they are of this one.
    rankers = [scorer.models.ranker for scorer in (old, new)]
    fusions = [one.decode.fusion for one in rankers if isinstance(one, ReloRanker)]
    assert [one.usual_cosine for one in fusions if one is not None] == [0.0, 0.25]
    about = open_corpus(made.directory, after).version
    assert f"quantizers/{centre.sha256[:16]}.centre" in _models(about)
