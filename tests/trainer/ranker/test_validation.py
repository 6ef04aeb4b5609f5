"""Validation judges a ranker the way that it will be served."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from engine.types import Floats, RankQuery
from tests import numeric
from tests.trainer.ranker.test_training import SETTINGS
from tests.trainer.ranker.world import make_collection
from trainer.generation.contexts import choose_contexts
from trainer.ranker.prepare import prepare
from trainer.ranker.settings import RankerSettings
from workers.ranker.model.local import make_model
from workers.ranker.model.whole import encode_videos
from workers.ranker.scoring.relo_ranker import ReloRanker
from workers.ranker.stores.contexts import encoded_in_memory

CPU = torch.device("cpu")
PLAIN = np.zeros(0, np.float32)


def with_model(
    padding: Literal["tight", "published"], encoder: Literal["attention", "conv"]
) -> RankerSettings:
    window = replace(SETTINGS.model.window, padding=padding)
    return replace(SETTINGS, model=replace(SETTINGS.model, window=window, context_encoder=encoder))


@pytest.mark.parametrize(
    ("settings", "differs"),
    [
        (with_model("tight", "attention"), True),
        (with_model("published", "attention"), True),
        (with_model("tight", "conv"), False),
    ],
)
def test_val_is_judged_as_a_build_serves(tmp_path: Path, settings: RankerSettings, differs: bool) -> None:
    data = prepare(make_collection(tmp_path / "c", train=14, val=5), settings, "none", None, CPU)
    torch.manual_seed(0)
    model, validation = make_model(data.model).eval(), data.validation
    online, stored = (ReloRanker(model, settings.decode) for _ in range(2))
    videos = encode_videos(model, validation.contexts, CPU)
    step = model.config.window.clip_length
    stored.use_stored(encoded_in_memory(model.config.hidden, step, videos), validation.contexts)
    served = online if choose_contexts("auto", online) is None else stored

    def relevances(ranker: ReloRanker) -> list[Floats]:
        queries = [
            RankQuery(tokens, PLAIN, p.videos, p.spans, p.scores)
            for tokens, p in zip(validation.tokens, validation.proposals, strict=True)
        ]
        return [answer.relevances for answer in ranker.rank_many(queries, validation.contexts)]

    found = np.concatenate([answer.columns[:, 0] for answer in validation.judge(model, settings.decode, CPU)])
    numeric.close(found, np.concatenate(relevances(served)))
    other = np.concatenate(relevances(online if served is stored else stored))
    # The two ways are told apart by attention, whose positions count from the window's begin.
    assert (np.abs(found - other).max() > 1e-2) == differs
