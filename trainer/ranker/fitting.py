"""The steps of a ranker's training: losses, NDCG on val, the best parameters kept, its score fitted."""

import torch

from trainer.ranker.batch_losses import batch_losses
from trainer.ranker.bertadam import BertAdam, decay_groups, published_schedule
from trainer.ranker.fusion import Answers
from trainer.ranker.prepare import Prepared
from trainer.ranker.settings import RankerSettings
from trainer.ranker.validation import selection
from trainer.runs import Amp, Progress, Training, TrainingRun, batch_rows
from workers.ranker.model.relo import Relo
from workers.ranker.scoring.decode import DecodeConfig

Metrics = dict[str, float]


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
    losses_of = run.processes.averaged(model, batch_losses)
    if settings.feedback and run.step == 0:
        # What it starts from is the best until something better is found.
        _evaluate_and_offer(0, model, data, settings, run, device)
    with Progress("ranker", steps, run.step, shown=run.processes.leads) as progress:
        for step in range(run.step, steps):
            epoch, position = divmod(step, per_epoch)
            rows = batch_rows(position, per_epoch * settings.batch, settings.batch, settings.seed + epoch)
            batch = data.train.batch(rows, (settings.seed, step), device)
            model.train()
            hard = epoch >= settings.loss.hard_from_epoch
            losses = losses_of(model, batch, settings.loss, hard, amp, run.processes)
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
    """Measure, record, and keep the model if it is the best so far; the leader alone does."""
    if not run.processes.leads:
        return
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
