"""The components for rankers by shard and encoders, with the lines of the topology that go with them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine import config, serving
from tests.deploy.manifests import DEPLOY, WORKLOADS, container, matches, name, pod


def split(folder: Path) -> tuple[config.Topology, list[dict[str, Any]]]:
    """Return topology and manifests of deploy/k8s with both components, as its comments say."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl renders the manifests")
    shutil.copytree(DEPLOY / "k8s", copy := folder / "k8s")
    root, topology = copy / "kustomization.yaml", copy / "topology.toml"
    root.write_text(root.read_text("utf-8").replace("components: []", "components: [encoder, rankers]"))
    text = topology.read_text("utf-8")
    (one,) = re.findall(r"^\[\[ranker\]\]\n(?:.+\n)+", text, re.MULTILINE)
    there = re.sub(r"^# (\[\[\w+\]\]|\w+ = .+)$", r"\1", text.replace(one, ""), flags=re.MULTILINE)
    topology.write_text(there)
    command = ["kubectl", "kustomize", str(copy)]
    rendered = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    (folder / "k8s.yaml").write_text(rendered)
    checked = [sys.executable, "-m", "kubernetes_validate", "--strict", "--quiet", str(folder / "k8s.yaml")]
    subprocess.run(checked, check=True, timeout=120)
    return config.read(topology), list(yaml.safe_load_all(rendered))


def test_each_ranker_and_the_encoders_are_workloads_that_coordinators_reach(tmp_path: Path) -> None:
    topology, manifests = split(tmp_path)
    assert [one.shards for one in topology.ranker] == [(0,), (1,)]
    workloads = {name(one): one for one in manifests if one["kind"] in WORKLOADS}
    assert workloads.keys() == {
        "spr",
        "library",
        "shard-00000",
        "shard-00001",
        "ranker-0",
        "ranker-1",
        "encoder",
    }
    (whole,) = (one["spec"] for one in manifests if one["kind"] == "Deployment" and name(one) == "spr")
    for process, role in [(one, "ranker") for one in topology.ranker] + [(topology.encoder[0], "encoder")]:
        host = process.address.split(":")[1]
        (service,) = (one for one in manifests if one["kind"] == "Service" and name(one) == host)
        taken = [
            one
            for one in workloads.values()
            if matches({"matchLabels": service["spec"]["selector"]}, labels(one))
        ]
        assert [name(one) for one in taken] == [host]
        workload = workloads[host]
        args = [
            arg.replace("$(RANKER)", labels(workload).get("spr.ranker", ""))
            for arg in container(workload)["args"]
        ]
        given = dict(zip(args[2::2], args[3::2], strict=True))
        assert args[:2] == ["serve", role]
        assert serving.select_part(topology, role, given.get("--name"), None) == process
        assert pod(workload)["spec"]["securityContext"] == whole["template"]["spec"]["securityContext"]
        assert "grpc" in opened(workload, manifests)


def opened(workload: dict[str, Any], manifests: list[dict[str, Any]]) -> set[str]:
    """Return the ports that network policies open of a workload."""
    policies = [one["spec"] for one in manifests if one["kind"] == "NetworkPolicy"]
    mine = [one for one in policies if matches(one["podSelector"], labels(workload))]
    return {port["port"] for one in mine for rule in one.get("ingress", []) for port in rule["ports"]}


def labels(workload: dict[str, Any]) -> dict[str, str]:
    return dict(pod(workload)["metadata"]["labels"])
