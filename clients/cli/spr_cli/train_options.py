"""The options that the trainings of projector and ranker share."""

from collections.abc import Callable
from typing import Any, TypedDict, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


class TrainOptions(TypedDict):
    """What `training_options` passes to a command."""

    config: str
    encoder: str | None
    changes: tuple[str, ...]
    resume: bool | None
    seed: int | None
    device: str
    wandb: bool
    as_json: bool


_OPTIONS = (
    click.option(
        "--config",
        default="demo",
        show_default=True,
        help="demo, demo-published, tvr-ranking-base, tvr-ranking-large, or a TOML file.",
    ),
    click.option("--encoder", help="Fingerprint of the features' encoder, where there are several."),
    click.option(
        "--set",
        "changes",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change a setting, of a nested table by its dotted name; repeatable.",
    ),
    click.option(
        "--resume/--restart",
        default=None,
        help="Go on with an interrupted training, or throw it away.  [default: go on if the settings agree]",
    ),
    click.option("--seed", type=int, help="Seed; the config's by default."),
    click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda."),
    click.option("--wandb", is_flag=True, help="Log to Weights & Biases too."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text."),
)


def training_options(command: Command) -> Command:
    """Give a command the shared options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def changes_of(options: TrainOptions) -> tuple[str, ...]:
    """Return the changes to the config, --seed among them."""
    seed = options["seed"]
    return options["changes"] if seed is None else (*options["changes"], f"seed={seed}")
