"""Train a collection's ranker: mined windows, losses, NDCG on val, the best model kept, its score fitted."""

import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from trainer.collection.places import make_current, models_directory
from trainer.ranker.anchor import anchor
from trainer.ranker.batch_losses import batch_losses
from trainer.ranker.bertadam import BertAdam, decay_groups, published_schedule
from trainer.ranker.fusion import Answers
from trainer.ranker.prepare import Prepared, prepare
from trainer.ranker.settings import RankerSettings
from trainer.ranker.sources import current_model
from trainer.ranker.validation import selection
from trainer.runs import Amp, Panel, Progress, Training, TrainingRun, batch_rows, pick_device, seed_everything
from workers.ranker.model.local import make_model
from workers.ranker.model.relo import Relo
from workers.ranker.scoring.decode import DecodeConfig
from workers.ranker.scoring.relo_ranker import KIND, RankerConfig
from workers.ranker.stores.checkpoint import model_fingerprint, save_model

Metrics = dict[str, float]


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
    wandb: bool = False,
) -> RankerReport:
    """Train, keep the model under `models/ranker/<fingerprint>` and make it current.

    projector: fingerprint of the projector that retrieves proposals, "none", or None for the current one.
    text_encoder: see `sentences_of`. resume: as in TrainingRun. Diverged for what is not finite.
    """
    began, where = time.monotonic(), pick_device(device)
    data = prepare(collection, settings, projector, encoder, where, text_encoder)
    model, settings = _start(collection, data, settings, where)
    with _open_run(collection, data, settings, resume, wandb) as run:
        fit(model, data, settings, run, where)
    step = run.best[0] if run.best else 0
    decode, coarse, refined = conclude(model, data, settings, run, where)
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
    collection: Path, data: Prepared, settings: RankerSettings, resume: bool | None, wandb: bool
) -> TrainingRun:
    return TrainingRun(
        models_directory(collection, KIND) / "unfinished",
        {**asdict(settings), "encoder": data.encoder, "projector": data.projector, "data": data.digest},
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


def fit(
    model: Relo, data: Prepared, settings: RankerSettings, run: TrainingRun, device: torch.device
) -> None:
    """Run the steps that are left, evaluating every `eval_every` and after the last."""
    # The published loader drops an epoch's last partial batch: too few negatives.
    per_epoch = len(data.train.pairs) // settings.batch
    steps = settings.steps or settings.epochs * per_epoch
    amp = Amp(device, settings.amp)
    optimizer = make_optimizer(model, settings)
    factor = published_schedule(steps, settings.warmup)
    training = Training(model, optimizer, {"scaler": amp.scaler})
    run.restore(training)
    if settings.feedback and run.step == 0:
        # What it starts from is the best until something better is found.
        _evaluate_and_offer(0, model, data, settings, run, device)
    with Progress("ranker", steps, run.step) as progress:
        for step in range(run.step, steps):
            epoch, position = divmod(step, per_epoch)
            rows = batch_rows(position, per_epoch * settings.batch, settings.batch, settings.seed + epoch)
            batch = data.train.batch(rows, (settings.seed, step), device)
            model.train()
            losses = batch_losses(model, batch, settings.loss, epoch >= settings.loss.hard_from_epoch, amp)
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * group["share"] * factor(step)
            norm = amp.step(losses["loss"], optimizer, model.parameters(), settings.clip)
            done = step + 1
            if done % settings.log_every == 0 or done == steps:
                values = {name: loss.item() for name, loss in losses.items()}
                run.log(done, {**values, **amp.norms(norm), "lr": settings.lr * factor(step)})
            if done % settings.eval_every == 0 or done == steps:
                _evaluate_and_offer(done, model, data, settings, run, device)
            run.after_step(done, training)
            progress.update(done, f"best {run.best[1]:.3f}" if run.best else "")
    run.save(steps, training)


def make_optimizer(model: Relo, settings: RankerSettings) -> torch.optim.Optimizer:
    """Return the optimiser of the settings over the two published groups, and those that learn slower."""
    anchored = "shortcut" if settings.anchor else None
    groups = decay_groups(model, settings.weight_decay, anchored, settings.anchored_lr)
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=settings.lr)
    return BertAdam(groups, lr=settings.lr)


def _evaluate_and_offer(
    done: int,
    model: Relo,
    data: Prepared,
    settings: RankerSettings,
    run: TrainingRun,
    device: torch.device,
) -> None:
    """Measure, record, and keep the model if it is the best so far."""
    answers, decode = _answers(model, data, settings, device)
    metrics = data.validation.measure(answers, decode)
    run.log(done, metrics)
    run.offer(done, selection(metrics), model.state_dict())


def _answers(
    model: Relo, data: Prepared, settings: RankerSettings, device: torch.device
) -> tuple[list[Answers], DecodeConfig]:
    """Return what the model finds for the queries of val, and how to score it."""
    decode, validation = settings.spans(data.model.window.clip_length), data.validation
    answers = validation.judge(model, decode, device)
    if settings.score == "fused":
        decode = validation.fused(answers, decode, settings.precision)
    return answers, decode


def conclude(
    model: Relo, data: Prepared, settings: RankerSettings, run: TrainingRun, device: torch.device
) -> tuple[DecodeConfig, Metrics, Metrics]:
    """Put the best parameters into `model`; return score weights and val measures before and after it."""
    model.load_state_dict(run.best_state())
    answers, decode = _answers(model, data, settings, device)
    validation = data.validation
    if settings.score == "fused":
        # Report cross-fitted metrics: each query is scored by a fit to other folds.
        return (
            validation.with_table(answers, decode),
            validation.coarse(),
            validation.crossed(answers, decode),
        )
    if settings.score == "weighed":
        decode = validation.weighed(answers, decode)
    return decode, validation.coarse(), validation.measure(answers, decode)


def _keep(
    collection: Path,
    model: Relo,
    config: RankerConfig,
    data: Prepared,
    run: TrainingRun,
    coarse: Metrics,
    refined: Metrics,
) -> Path:
    """Write the model under its fingerprint, move the run's record beside it, and make it current."""
    fingerprint = model_fingerprint(KIND, asdict(config), data.encoder, model.state_dict())
    directory = models_directory(collection, KIND) / fingerprint
    facts = {"settings": run.settings, "best": run.best, "coarse": coarse, "refined": refined}
    save_model(directory, KIND, config, model.state_dict(), encoder=data.encoder, facts=facts)
    run.plot()
    run.discard_states()
    shutil.move(run.directory, directory / "train")
    make_current(collection, KIND, fingerprint)
    return directory
