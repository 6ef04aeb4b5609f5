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


def split(folder: Path, *components: str) -> tuple[config.Topology, list[dict[str, Any]]]:
    """Return topology and manifests of deploy/k8s with these components, as its comments say."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl renders the manifests")
    shutil.copytree(DEPLOY / "k8s", copy := folder / "k8s")
    root, topology = copy / "kustomization.yaml", copy / "topology.toml"
    named = re.compile(rf"^#(  - (?:{'|'.join(components)})\b.*)$", re.MULTILINE)
    text, count = named.subn(r"\1", root.read_text("utf-8"))
    assert count == len(components)
    root.write_text(text)
    topology.write_text(told(topology.read_text("utf-8"), components))
    command = ["kubectl", "kustomize", str(copy)]
    rendered = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    (folder / "k8s.yaml").write_text(rendered)
    return config.read(topology), list(yaml.safe_load_all(rendered))


def _validate(manifests: Path) -> None:
    """Hold manifests against Kubernetes' schemas."""
    command = [sys.executable, "-m", "kubernetes_validate", "--strict", "--quiet", str(manifests)]
    subprocess.run(command, check=True, timeout=120)


def told(text: str, components: tuple[str, ...]) -> str:
    """Return the topology's text with the lines of components, in place of what they say."""
    replaced = {
        "rankers": r"^\[\[ranker\]\]\n(?:.+\n)+",
        "store": r"^collection = .*\n|^\[library\]\n(?:.+\n)+",
    }
    for one in components:
        if one in replaced:
            text = re.sub(replaced[one], "", text, flags=re.MULTILINE)
        # From the comment that names the component to the next one, or to a line that is none.
        text = re.sub(
            rf"(?<=the component `{one}`)(.*\n)((?:# (?:\[|\w+ = ).*\n)+)",
            lambda found: found[1] + re.sub("^# ", "", found[2], flags=re.MULTILINE),
            text,
        )
    return text


def test_each_ranker_and_the_encoders_are_workloads_that_coordinators_reach(tmp_path: Path) -> None:
    topology, manifests = split(tmp_path, "encoder", "rankers", "page", "gpu", "waiting")
    _validate(tmp_path / "k8s.yaml")
    assert [one.shards for one in topology.ranker] == [(0,), (1,)]
    workloads = {name(one): one for one in manifests if one["kind"] in WORKLOADS}
    workers = {"shard-00000", "shard-00001", "ranker-0", "ranker-1", "encoder"}
    assert workloads.keys() == {"spr", "library", "page", *workers}
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

    images = {name: container(one)["image"] for name, one in workloads.items()}
    assert {name for name, image in images.items() if image == "spr:gpu"} == {"ranker-0", "ranker-1"}
    assert set(images.values()) == {"spr:cpu", "spr:gpu"}
    _check_page(topology, workloads["page"], manifests)


def _check_page(topology: config.Topology, page: dict[str, Any], manifests: list[dict[str, Any]]) -> None:
    """Its own machine alone reaches it; it reaches both ports of coordinators."""
    assert topology.page is not None
    assert serving.select_part(topology, "page", None, None) == topology.page
    assert topology.page.listen == "127.0.0.1:7480"
    assert opened(page, manifests) == {"metrics"}
    (admin,) = (one["spec"] for one in manifests if one["kind"] == "NetworkPolicy" and name(one) == "admin")
    assert matches(admin["ingress"][0]["from"][0]["podSelector"], labels(page))


def test_a_collection_in_a_store_needs_no_volume_and_workers_reach_it(tmp_path: Path) -> None:
    topology, manifests = split(tmp_path, "store")
    assert (topology.library, list(topology.urls.values())) == (None, ["s3://bucket/collection"])
    assert [name(one) for one in manifests if one["kind"] == "PersistentVolumeClaim"] == ["videos"]
    workloads = [one for one in manifests if one["kind"] in WORKLOADS]
    assert "library" not in map(name, workloads)
    for one in workloads:
        (volume,) = (each for each in pod(one)["spec"]["volumes"] if each["name"] == "collection")
        assert volume.keys() == {"name", "emptyDir"}
        (mount,) = (each for each in container(one)["volumeMounts"] if each["name"] == "collection")
        assert (Path(mount["mountPath"]), mount["readOnly"]) == (topology.cache, False)
        policies = [each["spec"] for each in manifests if each["kind"] == "NetworkPolicy"]
        mine = [each for each in policies if matches(each["podSelector"], labels(one))]
        outward = [each["egress"] for each in mine if "Egress" in each["policyTypes"]]
        assert not outward or 443 in {
            port["port"] for rules in outward for rule in rules for port in rule["ports"]
        }


def opened(workload: dict[str, Any], manifests: list[dict[str, Any]]) -> set[str]:
    """Return the ports that network policies open of a workload."""
    policies = [one["spec"] for one in manifests if one["kind"] == "NetworkPolicy"]
    mine = [one for one in policies if matches(one["podSelector"], labels(workload))]
    return {port["port"] for one in mine for rule in one.get("ingress", []) for port in rule["ports"]}


def labels(workload: dict[str, Any]) -> dict[str, str]:
    return dict(pod(workload)["metadata"]["labels"])
