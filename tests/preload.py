"""What processes that tests fork have loaded: imported by the fork server alone."""

import gc
import importlib
import os

from engine.processes import POLLING

# gRPC reads it when it is loaded.
os.environ.update(POLLING)
# torch before FAISS; torch loads its compiler with the first optimiser, an encoder its classes.
for name in (
    "torch._dynamo",
    "tests.apart",
    "tests.forked",
    "trainer.projector.training",
    "trainer.ranker.training",
    "trainer.library.process",
    "trainer.library.work",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.clip.image_processing_pil_clip",
    "transformers.models.clip.modeling_clip",
    "engine.__main__",
    "spr_cli.main",
    "spr_cli.serve",
    "spr_gateway.__main__",
    "workers.index.servicer",
    "workers.index.shard",
    "workers.ranker.__main__",
):
    importlib.import_module(name)
# Shared by all that are forked, and left alone by their garbage collectors.
gc.freeze()
