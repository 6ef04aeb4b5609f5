"""A worker of a build: does one step for one part at a time, with what the collection holds."""

import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from engine.entries import ModelEntry, TextsEntry
from engine.types import Floats
from trainer.collection.places import features_directory
from trainer.collection.segments import VideoRows
from trainer.generation.config import BuildConfig
from trainer.generation.kit import Kit
from trainer.generation.making import Building, Vectors, complete_part, embed_videos, index_part
from trainer.generation.models import load_ranker, load_stage1
from trainer.generation.plan import Plan
from trainer.generation.texts_kit import open_texts
from workers.feature_store.store import FeatureStore
from workers.index.part import DIRECTORY as INDEX
from workers.index.training import Template
from workers.ranker.encoder.encoder import pick_device
from workers.ranker.projection.projector import MeanPool, Projector
from workers.ranker.stores.rounding import ContextType

# Seconds after which a worker tells how far it is.
QUIET = 0.5


@dataclass(frozen=True)
class Spec:
    """What the parts of a build are made with, by name. quantizer: "" before there is one.

    said: (dim,) the mean of what is said, by which a mean pool embeds; None for another projector.
    """

    collection: Path
    features: str
    device: str
    projector: ModelEntry | None
    said: Floats | None
    ranker: ModelEntry | None
    contexts: ContextType | None
    embedding_model: str
    factory: str
    quantizer: str
    texts: TextsEntry | None

    @staticmethod
    def of(config: BuildConfig, plan: Plan, kit: Kit | None) -> "Spec":
        """Return that of a plan; kit: what of it is made by now."""
        said = plan.projector.said if isinstance(plan.projector, MeanPool) else None
        if kit is not None and isinstance(kit.projector, MeanPool):
            said = kit.projector.said
        return Spec(
            collection=config.collection.absolute(),
            features=plan.store.path.name,
            device=config.device,
            projector=plan.projector_entry,
            said=None if said is None else np.asarray(said.cpu().numpy(), np.float32),
            ranker=plan.ranker_entry if plan.contexts is not None else None,
            contexts=plan.contexts,
            embedding_model=plan.embedding_model,
            factory=plan.recipe.label,
            quantizer="" if kit is None else kit.template.sha256,
            texts=None if kit is None or kit.texts is None else kit.texts.entry,
        )

    def key(self) -> tuple[object, ...]:
        """Return what tells it from others."""
        said = None if self.said is None else self.said.tobytes()
        return (self.collection, self.features, self.projector, said, self.quantizer, self.texts is None)


@dataclass(frozen=True)
class Step:
    """What to do for a part, or for a stretch of videos."""

    kind: Literal["embed", "index", "contexts"]
    building: Building
    vectors: Vectors | None = None

    def __str__(self) -> str:
        return f"step {self.kind} of {len(self.building.ids)} videos from {self.building.ids[0]!r} on"


@dataclass(frozen=True, slots=True)
class Made:
    """How far a step is. result: what it gave, None before its end."""

    done: int
    result: str | None


class PartWorker:
    """Does steps in a thread of its own, one at a time, and tells how far it is."""

    def __init__(self) -> None:
        self._kit: tuple[tuple[object, ...], Opened] | None = None
        self._thread: threading.Thread | None = None
        self._done = 0
        self._result: str | None = None
        self._failed: BaseException | None = None

    def begin(self, spec: Spec, step: Step) -> Made:
        """Begin a step; see `go_on`."""
        self._done, self._result, self._failed = 0, None, None
        self._thread = threading.Thread(target=self._run, args=(spec, step), daemon=True)
        self._thread.start()
        return self.go_on()

    def go_on(self) -> Made:
        """Wait for the end of the step, at most half a second. Raises what the step raised."""
        assert self._thread is not None
        self._thread.join(QUIET)
        if self._failed is not None:
            raise self._failed
        return Made(self._done, self._result)

    def _run(self, spec: Spec, step: Step) -> None:
        try:
            result = self._do(spec, step)
        except BaseException as error:
            self._failed = error
        else:
            self._result = result

    def _do(self, spec: Spec, step: Step) -> str:
        opened, building = self._opened(spec), step.building
        if step.kind == "embed":
            assert step.vectors is not None
            first = int(building.starts[0])
            rows = VideoRows.of_store(opened.store, building.ids)
            vectors = step.vectors.map()[first : first + building.segments]
            embed_videos(rows, opened.projector, opened.device, vectors, self._progress)
            return ""
        _clean(building.path, keep=() if step.kind == "index" else (Path(INDEX).parts[0],))
        if step.kind == "index":
            assert step.vectors is not None
            index_part(opened.kit(), building, step.vectors, self._progress)
            return ""
        return complete_part(opened.kit(), building, self._progress)

    def _progress(self, stage: str, done: int, total: int) -> None:
        self._done = done

    def _opened(self, spec: Spec) -> "Opened":
        if self._kit is None or self._kit[0] != spec.key():
            self._kit = (spec.key(), Opened(spec))
        return self._kit[1]


class Opened:
    """The features and models of a build, loaded."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self.device = pick_device(spec.device)
        self.store = FeatureStore.open(features_directory(spec.collection, spec.features))
        projector: Projector | MeanPool = load_stage1(
            spec.collection, spec.projector, self.store, self.device
        )
        if isinstance(projector, MeanPool) and spec.said is not None:
            projector = MeanPool(projector.segment_length, torch.from_numpy(spec.said.copy()))
        self.projector = projector.to(self.device)
        self._made: Kit | None = None

    def kit(self) -> Kit:
        """Return what parts are made with."""
        spec = self._spec
        if self._made is None:
            self._made = Kit(
                store=self.store,
                projector=self.projector,
                embedding_model=spec.embedding_model,
                factory=spec.factory,
                template=Template.read(spec.collection, spec.quantizer),
                ranker=load_ranker(spec.collection, spec.ranker, self.store) if spec.ranker else None,
                contexts=spec.contexts,
                device=self.device,
                texts=open_texts(spec.collection, spec.texts, spec.device),
            )
        return self._made


def _clean(folder: Path, keep: tuple[str, ...]) -> None:
    """Remove what a worker that died has left of a part."""
    for path in folder.iterdir():
        if path.name not in keep:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
