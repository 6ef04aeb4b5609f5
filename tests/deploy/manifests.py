"""What deploy/ says: the manifests as kustomize renders them, and the commands of their pods."""

import functools
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
TOPOLOGY = DEPLOY / "k8s" / "topology.toml"
WORKLOADS = ("Deployment", "StatefulSet")

Manifest = dict[str, Any]


@functools.cache
def rendered() -> tuple[Manifest, ...]:
    """Return deploy/k8s with all its components; the test is skipped where there is no kubectl."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl renders the manifests")
    command = ["kubectl", "kustomize", str(Path(__file__).parent)]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    return tuple(yaml.safe_load_all(text))


def of(*kinds: str) -> list[Manifest]:
    """Return the manifests of these kinds."""
    return [one for one in rendered() if one["kind"] in kinds]


def name(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])


def pod(workload: Manifest) -> Manifest:
    """Return the pod that a workload makes."""
    return dict(workload["spec"]["template"])


def container(workload: Manifest) -> Manifest:
    (only,) = pod(workload)["spec"]["containers"]
    return dict(only)


def matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a label selector takes labels."""
    for rule in selector.get("matchExpressions", []):
        assert rule["operator"] == "In"
        if labels.get(rule["key"]) not in rule["values"]:
            return False
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def taken(selector: dict[str, Any]) -> list[Manifest]:
    """Return the workloads whose pods a selector takes."""
    return [one for one in of(*WORKLOADS) if matches(selector, pod(one)["metadata"]["labels"])]


def ports(workload: Manifest) -> dict[str, int]:
    return {one["name"]: one["containerPort"] for one in container(workload)["ports"]}


def commands() -> dict[str, list[str]]:
    """Return what every pod runs, by the name of its workload, as Kubernetes fills it in."""
    found = {}
    for workload in of(*WORKLOADS):
        one, labels = container(workload), pod(workload)["metadata"]["labels"]
        args = list(one["args"])
        for variable in one.get("env", []):
            label = variable["valueFrom"]["fieldRef"]["fieldPath"].split("'")[1]
            args = [arg.replace(f"$({variable['name']})", labels[label]) for arg in args]
        found[name(workload)] = args
    return found


def topology() -> Manifest:
    return tomllib.loads(TOPOLOGY.read_text(encoding="utf-8"))
