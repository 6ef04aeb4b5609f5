"""A tiny training that draws from every random generator."""

import random
from pathlib import Path

import numpy as np
import torch

from trainer.runs import Amp, Panel, Training, TrainingRun, batch_rows, seed_everything


def train_tiny(directory: Path, steps: int, resume: bool | None, save_every: int = 7) -> TrainingRun:
    """Train a regression with dropout and a schedule for `steps` steps."""
    seed_everything(5)
    torch.set_num_threads(1)
    x = torch.randn(40, 6)
    y = x.sum(1, keepdim=True)
    first = torch.nn.Linear(6, 16)
    model = torch.nn.Sequential(first, torch.nn.Dropout(0.2), torch.nn.Linear(16, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, betas=(0.9, 0.99))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step / 50))
    training = Training(model, optimizer, {"scheduler": scheduler})
    amp = Amp(torch.device("cpu"))
    panels = (Panel("loss", ("loss",)), Panel("metric", ("score",)))
    with TrainingRun(directory, {"steps": steps}, resume=resume, save_every=save_every, panels=panels) as run:
        run.restore(training)
        for step in range(run.step, steps):
            rows = torch.from_numpy(batch_rows(step, 40, 16, seed=5))
            noise = 0.01 * (random.random() + float(np.random.rand()) + float(np.random.standard_normal()))
            loss = (
                torch.nn.functional.mse_loss(model(x[rows]), y[rows]) + noise * first.weight.square().mean()
            )
            amp.step(loss, optimizer, model.parameters(), max_norm=5.0)
            scheduler.step()
            run.log(step + 1, {"loss": loss.item()})
            if (step + 1) % 5 == 0:
                score = -loss.item()
                run.log(step + 1, {"score": score})
                run.offer(step + 1, score, model.state_dict())
            run.after_step(step + 1, training)
        run.save(steps, training)
        run.plot()
    return run
