"""Train a collection's ranker, and keep it."""

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from trainer.collection.places import make_current, models_directory
from trainer.ranker.anchor import anchor
from trainer.ranker.fitting import Metrics, conclude, fit
from trainer.ranker.prepare import Prepared, prepare
from trainer.ranker.settings import RankerSettings
from trainer.ranker.sources import current_model
from trainer.runs import (
    Panel,
    Processes,
    TrainingRun,
    joined,
    open_run,
    pick_device,
    seed_everything,
)
from workers.ranker.model.local import make_model
from workers.ranker.model.relo import Relo
from workers.ranker.scoring.decode import DecodeConfig
from workers.ranker.scoring.relo_ranker import KIND, RankerConfig
from workers.ranker.stores.checkpoint import model_fingerprint, save_model


@dataclass(frozen=True, slots=True)
class RankerReport:
    """What a training made. coarse, refined: val measures before and after the ranker; score: its weights.

    val_depth: segments retrieved a query of val, of the val_segments there are.
    """

    directory: Path
    fingerprint: str
    encoder: str
    projector: str
    step: int
    coarse: Metrics
    refined: Metrics
    score: dict[str, float]
    pairs: int
    dropped: int
    mined: float
    val_depth: int
    val_segments: int
    seconds: float


def train_ranker(
    collection: Path,
    settings: RankerSettings,
    *,
    projector: str | None = None,
    encoder: str | None = None,
    text_encoder: str | None = None,
    resume: bool | None = None,
    device: str = "auto",
    engine: str = "local",
    wandb: bool = False,
) -> RankerReport:
    """Train, keep the model under `models/ranker/<fingerprint>` and make it current.

    projector: fingerprint of the projector that retrieves proposals, "none", or None for the current one.
    text_encoder: see `sentences_of`. resume: as in TrainingRun. Diverged for what is not finite. Of several
    processes only the leader returns. engine: see `prepare`.
    """
    began, where = time.monotonic(), pick_device(device)
    with joined(where) as processes:
        data = processes.in_turn(
            lambda: prepare(collection, settings, projector, encoder, where, text_encoder, engine)
        )
        model, settings = _start(collection, data, settings, where)
        with _open_run(collection, data, settings, resume, wandb, processes) as run:
            fit(model, data, settings, run, where)
        processes.end_unless_leading()
    return _concluded(collection, model, data, settings, run, where, began)


def _start(
    collection: Path, data: Prepared, settings: RankerSettings, device: torch.device
) -> tuple[Relo, RankerSettings]:
    """Return the model before its first step, and the settings: a trained one learns slower."""
    seed_everything(settings.seed)
    current = current_model(collection, data.encoder, data.model) if settings.feedback else None
    if current is not None:
        return current.to(device), replace(settings, lr=settings.lr * settings.tuning_lr)
    model = make_model(data.model).to(device)
    if settings.anchor:
        anchor(model, data.train, data.texts)
    return model, settings


def _open_run(
    collection: Path,
    data: Prepared,
    settings: RankerSettings,
    resume: bool | None,
    wandb: bool,
    processes: Processes,
) -> TrainingRun:
    processes.agree(data.digest)
    return open_run(
        models_directory(collection, KIND) / "unfinished",
        {**asdict(settings), "encoder": data.encoder, "projector": data.projector, "data": data.digest},
        processes,
        resume=resume,
        save_every=settings.save_every,
        panels=[
            Panel("loss", ("loss", "boundary", "frame", "video", "context", "query", "listwise", "inside")),
            Panel("val NDCG@10", tuple(f"NDCG@10,IoU>={iou}" for iou in (0.3, 0.5, 0.7))),
        ],
        wandb="spr-ranker" if wandb else None,
    )


def _weights(decode: DecodeConfig) -> dict[str, float]:
    """Return what the score is made of, by name."""
    if decode.fusion is not None:
        return {name: weight for name, weight in asdict(decode.fusion.score).items() if name != "bias"}
    names = ("relevance_weight", "probability_weight", "coarse_weight")
    return {name: getattr(decode, name) for name in names}


def _concluded(
    collection: Path,
    model: Relo,
    data: Prepared,
    settings: RankerSettings,
    run: TrainingRun,
    device: torch.device,
    began: float,
) -> RankerReport:
    step = run.best[0] if run.best else 0
    decode, coarse, refined = conclude(model, data, settings, run, device)
    directory = _keep(collection, model, RankerConfig(data.model, decode), data, run, coarse, refined)
    return RankerReport(
        directory=directory,
        fingerprint=directory.name,
        encoder=data.encoder,
        projector=data.projector,
        step=step,
        coarse=coarse,
        refined=refined,
        score=_weights(decode),
        pairs=len(data.train.pairs),
        dropped=data.dropped,
        mined=data.mined,
        val_depth=data.validation.depth,
        val_segments=data.validation.segments,
        seconds=round(time.monotonic() - began, 1),
    )


def _keep(
    collection: Path,
    model: Relo,
    config: RankerConfig,
    data: Prepared,
    run: TrainingRun,
    coarse: Metrics,
    refined: Metrics,
) -> Path:
    """Write the model under its fingerprint, make it current, and move the run's record beside it."""
    fingerprint = model_fingerprint(KIND, asdict(config), data.encoder, model.state_dict())
    directory = models_directory(collection, KIND) / fingerprint
    facts = {"settings": run.settings, "best": run.best, "coarse": coarse, "refined": refined}
    save_model(directory, KIND, config, model.state_dict(), encoder=data.encoder, facts=facts)
    run.plot()
    make_current(collection, KIND, fingerprint)
    run.leave_record(directory / "train")
    return directory
