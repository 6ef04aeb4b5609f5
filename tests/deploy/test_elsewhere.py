"""Containers without Kubernetes, and systemd: what they run is what Kubernetes runs, and starts."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from engine import config, processes
from engine.access import making
from spr_cli import serve
from tests.clients.test_distribution import built
from tests.deploy import manifests
from tests.deploy.manifests import DEPLOY, ROOT

MODULES = {
    "coordinator": "engine",
    "index": "workers.index",
    "ranker": "workers.ranker",
    "library": "trainer.library",
}


def composed() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"])


def test_compose_runs_what_kubernetes_runs() -> None:
    services = composed()
    assert {name: one["command"] for name, one in services.items()} == manifests.commands()
    for name, one in services.items():
        mounts = {
            volume.rsplit(":", 2 if volume.endswith(":ro") else 1)[1]: volume for volume in one["volumes"]
        }
        (workload,) = [each for each in manifests.of(*manifests.WORKLOADS) if manifests.name(each) == name]
        kept = {mount["mountPath"]: mount for mount in manifests.container(workload)["volumeMounts"]}
        assert mounts.keys() == kept.keys() - {"/tmp"}
        assert mounts["/collection"].endswith(":ro") is kept["/collection"].get("readOnly", False)


def test_every_command_names_a_process_of_the_topology(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    making.make(tmp_path / "access", [], 30)
    text = manifests.TOPOLOGY.read_text(encoding="utf-8").replace("/etc/spr-access", str(tmp_path / "access"))
    (tmp_path / "topology.toml").write_text(text, encoding="utf-8")
    units = [f"spr-{role}@{name}" for role, name in (("ranker", "ranker-0"), ("index", "shard-00001"))]
    commands = [*manifests.commands().values()] + [unit_command(unit) for unit in units]
    became: list[list[str]] = []
    monkeypatch.setattr("os.execve", lambda *called: became.append(called[1]))
    for args in commands:
        asked = [re.sub(r"/\S+/topology.toml", str(tmp_path / "topology.toml"), arg) for arg in args]
        done = CliRunner().invoke(serve.command, asked[1:], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        command = became.pop()
        assert command[:3] == [sys.executable, "-m", processes.MODULES[args[1]]]
        if "--name" in args:
            assert command[command.index("--name") + 1] == args[args.index("--name") + 1]


def test_prometheus_scrapes_every_process_of_a_collection() -> None:
    file = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    ((listed,),) = ([each["targets"] for each in job["static_configs"]] for job in file["scrape_configs"])
    served = config.for_collection(Path("c"), 1, 7400)
    processes = (served.coordinator, *served.workers, served.library, served.page)
    assert {one.metrics for one in processes if one is not None} == set(listed)


def unit_command(unit: str) -> list[str]:
    """Return what a unit made of the template runs, as systemd fills it in."""
    prefix, _, instance = unit.partition("@")
    text = (DEPLOY / "systemd" / "spr-process@.service").read_text(encoding="utf-8")
    (line,) = re.findall(r"^ExecStart=/opt/spr/bin/spr (.*)$", text, re.MULTILINE)
    return str(line).replace("%j", prefix.rpartition("-")[2]).replace("%i", instance).split()


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze reads the units")
    names = []
    for source, name in (
        ("spr", "spr"),
        ("spr-process@", "spr-index@"),
        ("spr-process@", "spr-coordinator@"),
    ):
        text = (DEPLOY / "systemd" / f"{source}.service").read_text(encoding="utf-8")
        # The program that it runs has to be there.
        (tmp_path / f"{name}.service").write_text(text.replace("/opt/spr/bin/spr", sys.executable))
        names.append(f"{tmp_path}/{name.replace('@', '@one')}.service")
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "spr" in line]) == (0, [])


def wheel_of_the_image(folder: Path) -> Path:
    """Return the unpacked wheel that the Dockerfile installs, of nothing but what it copies."""
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    copied = [words.split()[:-1] for words in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE)]
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(name for line in copied for name in line) == sorted(let_in)
    source, left_out = folder / "src", shutil.ignore_patterns("__pycache__", "node_modules")
    source.mkdir()
    for name in let_in:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=left_out)
        else:
            shutil.copy(ROOT / name, source / name)
    with zipfile.ZipFile(built("wheel", source, folder)) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def test_the_image_has_the_whole_package_and_runs_it(tmp_path: Path) -> None:
    site = wheel_of_the_image(tmp_path)
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    roots = ("clients/cli/", "clients/gateway/", "clients/python/", "protos/", "")
    files = {name.removeprefix(next(filter(name.startswith, roots))) for name in listed.splitlines()}
    wanted = {name for name in files if (site / name.partition("/")[0]).is_dir()}
    assert {"spr_cli/main.py", "engine/py.typed", "workers/__init__.py"} <= wanted
    assert [name for name in sorted(wanted) if not (site / name).exists()] == []
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    entry, argument = re.findall(r'^(?:ENTRYPOINT|CMD) \["(.+)"\]$', text, re.MULTILINE)
    assert entry == "spr"
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from spr_cli import main; print(main); main.main()"
    )
    command = [sys.executable, "-c", code, str(site), argument]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert str(site) in run.stdout.splitlines()[0]
    assert "serve" in run.stdout
