"""`spr doctor`: look at this machine, a collection, and a topology, before something breaks."""

import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spr_cli.findings import Finding, Findings
from spr_cli.options import AS_JSON, DEVICE

if TYPE_CHECKING:
    from engine.config import Topology

_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}


@click.command()
@click.argument("target", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--models", is_flag=True, help="Also load the collection's models, which takes seconds.")
@click.option(
    "--encoder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Also prove an encoder in this directory on drawn pictures, and measure it.",
)
@DEVICE
@AS_JSON
def command(target: Path | None, models: bool, encoder: Path | None, device: str, as_json: bool) -> None:
    """Look for what would keep TARGET, a collection or a topology file, from being served here.

    Nothing is changed, and no service is needed. Sizes of files are checked, not their bytes: `spr verify`
    does that. The exit code is 1 when there is an error, 0 otherwise.

    \b
    spr doctor
    spr doctor topology.toml
    spr doctor c --models
    spr doctor --encoder openai-clip
    """
    from spr_cli.output import print_json

    found = []
    for finding in _findings(target, models, encoder, device):
        found.append(finding)
        if not as_json:
            _show(finding)
    counts = {kind: sum(one.severity == kind for one in found) for kind in _COLOURS}
    if as_json:
        listed = [
            {"severity": one.severity, "about": one.about, "said": one.said}
            | ({"facts": one.facts} if one.facts else {})
            for one in found
        ]
        print_json({"healthy": not counts["error"], **counts, "findings": listed})
    else:
        click.echo(
            ", ".join(f"{counts[kind]} {kind}{'s' * (counts[kind] != 1)}" for kind in ("error", "warning"))
        )
    if counts["error"]:
        sys.exit(1)


def _show(finding: Finding) -> None:
    from engine.printable import printable

    severity = click.style(finding.severity.ljust(7), fg=_COLOURS[finding.severity])
    click.echo(f"{severity}  {finding.about}: {printable(finding.said)}")


def _findings(target: Path | None, models: bool, encoder: Path | None, device: str) -> Findings:
    from spr_cli import doctor_machine

    yield from doctor_machine.findings()
    topology: Topology | None = None
    collections: list[Path] = []
    if target is not None and target.is_dir():
        collections = [target]
    elif target is not None:
        topology = yield from _topology(target)
        collections = list(topology.directories) if topology else []
    for collection in collections:
        from spr_cli import doctor_collection

        yield from doctor_collection.findings(collection)
    if topology is not None:
        from spr_cli import doctor_service

        yield from doctor_service.findings(topology)
    yield from _models(collections if models else [], encoder, device)


def _topology(path: Path) -> "Generator[Finding, None, Topology | None]":
    from engine import config
    from engine.errors import SprError

    try:
        topology = config.read(path)
    except SprError as error:
        yield Finding("error", "config", str(error))
        return None
    fronts = [one for front in topology.coordinators for one in front.each]
    others = [one for one in (topology.library, topology.page) if one is not None]
    processes = len(fronts) + len(topology.workers) + len(others)
    yield Finding("ok", "config", f"{path} names {processes} processes")
    return topology


def _models(collections: Sequence[Path], encoder: Path | None, device: str) -> Findings:
    if not collections and encoder is None:
        return
    from spr_cli import doctor_encoder, doctor_models

    for collection in collections:
        yield doctor_models.of_collection(collection, device)
    if encoder is not None:
        yield from doctor_encoder.findings(encoder, device)
