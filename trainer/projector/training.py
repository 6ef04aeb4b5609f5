"""Train the dual projectors of a collection and keep the model with the best validation recall."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from trainer.collection.places import make_current, models_directory
from trainer.projector.initial import initialise
from trainer.projector.loading import ProjectorData, load_data
from trainer.projector.losses import LOSSES
from trainer.projector.optimisation import make_optimizer, schedule, set_learning_rates
from trainer.projector.recall import recalls
from trainer.projector.settings import ProjectorSettings
from trainer.runs import (
    ALONE,
    Amp,
    Panel,
    Processes,
    Progress,
    Training,
    TrainingRun,
    batch_rows,
    joined,
    open_run,
    pick_device,
    seed_everything,
)
from trainer.runs.order import batches_per_epoch
from workers.ranker.projection.projector import KIND, MeanPool, Projector
from workers.ranker.stores.checkpoint import model_fingerprint, save_model

SEGMENTS_AT_ONCE = 4096


@dataclass(frozen=True)
class ProjectorReport:
    """What a training made. baseline: the metrics of mean pooling on the same validation data."""

    directory: Path
    fingerprint: str
    encoder: str
    step: int
    metric: str
    value: float
    baseline: dict[str, float]
    pairs: int
    segments: int
    seconds: float


def train_projector(
    collection: Path,
    settings: ProjectorSettings,
    *,
    encoder: str | None = None,
    resume: bool | None = None,
    device: str = "auto",
    wandb: bool = False,
) -> ProjectorReport:
    """Train, keep the model under `models/projector/<fingerprint>` and make it current.

    resume: as in TrainingRun. Diverged, and nothing kept, where losses or parameters are not finite. Among
    several processes only the leader returns.
    """
    began = time.monotonic()
    where = pick_device(device)
    with joined(where) as processes:
        data = processes.in_turn(lambda: load_data(collection, settings, encoder, device))
        seed_everything(settings.seed)
        projector = initialised(data.dim, settings).to(where)
        with _open_run(collection, data, settings, resume, wandb, processes) as run:
            fit(projector, data, settings, run, where)
            processes.end_unless_leading()
            run.plot()
    baseline = evaluate(MeanPool(settings.model.segment_length).to(where), data, settings, where)
    step, value = run.best or (0, 0.0)
    directory = _keep(collection, projector, data, settings, run, baseline)
    return ProjectorReport(
        directory=directory,
        fingerprint=directory.name,
        encoder=data.encoder,
        step=step,
        metric=settings.select,
        value=value,
        baseline=baseline,
        pairs=len(data.pairs),
        segments=len(data.train),
        seconds=round(time.monotonic() - began, 1),
    )


def initialised(dim: int, settings: ProjectorSettings) -> Projector:
    """Return the projector before its first step."""
    projector = Projector(settings.model_for(dim), settings.logit_scale)
    initialise(projector, settings.init)
    return projector


def _open_run(
    collection: Path,
    data: ProjectorData,
    settings: ProjectorSettings,
    resume: bool | None,
    wandb: bool,
    processes: Processes,
) -> TrainingRun:
    processes.agree(data.digest)
    return open_run(
        models_directory(collection, KIND) / "unfinished",
        {**asdict(settings), "encoder": data.encoder, "data": data.digest},
        processes,
        resume=resume,
        save_every=settings.save_every,
        panels=panels(settings),
        wandb="spr-projector" if wandb else None,
    )


def fit(
    projector: Projector,
    data: ProjectorData,
    settings: ProjectorSettings,
    run: TrainingRun,
    device: torch.device,
) -> None:
    """Run the steps that are left, evaluating before the first, every `eval_every` and after the last."""
    steps = settings.steps or settings.epochs * batches_per_epoch(len(data.pairs), settings.batch)
    amp = Amp(device, settings.amp)
    optimizer = make_optimizer(projector, settings)
    training = Training(projector, optimizer, {"scaler": amp.scaler})
    run.restore(training)
    # The published LSTM variant owns a table that nothing reads.
    loss_of = run.processes.averaged(projector, batch_loss, unused=settings.model.type == "seqLSTM")
    queries = data.train_queries.to(device)
    if not run.resumed:
        _evaluate_and_offer(0, projector, data, settings, run, device)
    with Progress("projector", steps, run.step, shown=run.processes.leads) as progress:
        for step in range(run.step, steps):
            set_learning_rates(optimizer, schedule(step, steps, settings.warmup))
            rows = batch_rows(step, len(data.pairs), settings.batch, settings.seed)
            loss = loss_of(projector, queries, data, rows, settings, amp, run.processes)
            norm = amp.step(loss, optimizer, projector.parameters(), settings.clip)
            done = step + 1
            if done % settings.log_every == 0 or done == steps:
                scale = projector.pt_clip_logit_scale.item()
                rate = optimizer.param_groups[1]["lr"]
                values = {"loss": loss.item(), "lr": rate, "logit-scale": scale}
                run.log(done, values | amp.norms(norm))
            if done % settings.eval_every == 0 or done == steps:
                _evaluate_and_offer(done, projector, data, settings, run, device)
            run.after_step(done, training)
            best = f"best {settings.select} {run.best[1]:.3f}" if run.best else ""
            progress.update(done, best)
    run.save(steps, training)


def batch_loss(
    projector: Projector,
    queries: torch.Tensor,
    data: ProjectorData,
    rows: NDArray[np.int64],
    settings: ProjectorSettings,
    amp: Amp,
    processes: Processes = ALONE,
) -> torch.Tensor:
    """Return the loss of a batch of training pairs; the model in mixed precision, the loss in float32."""
    scores = torch.from_numpy(data.pairs.score_matrix(rows)).to(amp.device)
    asked = queries[torch.from_numpy(data.pairs.query[rows]).to(amp.device)]
    seen = data.train.inputs(data.pairs.segment[rows], amp.device)
    with amp.autocast():
        q, s = processes.encode(lambda a, b: (projector.queries(a), projector.segments(b)), (asked, seen))
    return LOSSES[settings.loss](projector.logits(q.float(), s.float()), scores)


@torch.no_grad()
def evaluate(
    model: Projector | MeanPool, data: ProjectorData, settings: ProjectorSettings, device: torch.device
) -> dict[str, float]:
    """Return the recalls of a model over the whole validation corpus."""
    model.eval()
    chunks = range(0, len(data.val), SEGMENTS_AT_ONCE)
    # Mean pooling reads less than the projector beside which it is measured.
    skip, width = settings.model.around - model.around, data.dim * len(model.streams)
    read = slice(skip, skip + settings.model.segment_length + 2 * model.around)
    inputs = (data.val.inputs(slice(at, at + SEGMENTS_AT_ONCE), device) for at in chunks)
    parts = [model.segments(part[:, read, :width]) for part in inputs]
    segments = F.normalize(torch.cat(parts), dim=-1)
    queries = F.normalize(model.queries(data.val_queries.to(device)), dim=-1)
    model.train()
    return recalls(queries, segments, data.truth, settings.recall_at)


def _evaluate_and_offer(
    done: int,
    projector: Projector,
    data: ProjectorData,
    settings: ProjectorSettings,
    run: TrainingRun,
    device: torch.device,
) -> None:
    """Measure, record, and keep the model if it is the best so far; the leader alone does."""
    if not run.processes.leads:
        return
    metrics = evaluate(projector, data, settings, device)
    run.log(done, metrics)
    run.offer(done, metrics[settings.select], projector.state_dict())


def panels(settings: ProjectorSettings) -> list[Panel]:
    """Return the charts of a training."""
    kinds = ("recall", "weighted-recall", "video-recall")
    return [
        Panel("loss", ("loss",)),
        Panel("val recall", tuple(f"{kind}@{settings.recall_at[0]}" for kind in kinds)),
    ]


def _keep(
    collection: Path,
    projector: Projector,
    data: ProjectorData,
    settings: ProjectorSettings,
    run: TrainingRun,
    baseline: Mapping[str, float],
) -> Path:
    """Write the best model under its fingerprint, make it current, and move the run's record beside it."""
    state = run.best_state()
    fingerprint = model_fingerprint(KIND, asdict(projector.config), data.encoder, state)
    directory = models_directory(collection, KIND) / fingerprint
    facts = {"settings": run.settings, "best": run.best, "mean-pool": baseline}
    save_model(directory, KIND, projector.config, state, encoder=data.encoder, facts=facts)
    make_current(collection, KIND, fingerprint)
    run.leave_record(directory / "train")
    return directory
