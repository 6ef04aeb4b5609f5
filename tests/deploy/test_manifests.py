"""The manifests agree with each other and with the topology, beyond what their schemas say."""

import re
from pathlib import Path
from typing import Any

import yaml

from engine import metrics
from spr_cli import build
from tests.deploy.manifests import (
    DEPLOY,
    ROOT,
    TOPOLOGY,
    WORKLOADS,
    Manifest,
    container,
    matches,
    name,
    of,
    pod,
    ports,
    taken,
    topology,
)


def reached() -> dict[str, dict[int, str]]:
    """Return the ports of every service: the name of the workload that listens there."""
    found: dict[str, dict[int, str]] = {}
    for service in of("Service"):
        (workload,) = taken({"matchLabels": service["spec"]["selector"]})
        listens = ports(workload)
        for port in service["spec"]["ports"]:
            assert listens[port["targetPort"]] == port["port"], name(service)
            found.setdefault(name(service), {})[port["port"]] = name(workload)
    return found


def test_every_address_of_the_topology_is_a_service_of_its_process() -> None:
    services, table = reached(), topology()
    processes = [("spr", table["coordinator"]), ("ranker", table["ranker"][0]), ("library", table["library"])]
    processes += [(f"shard-{one['shard']:05d}", one) for one in table["index"]]
    assert sorted(owner for owner, _ in processes) == sorted(name(one) for one in of(*WORKLOADS))
    for owner, process in processes:
        listens = {"address": process["listen"]}
        if "admin" in process:
            listens["admin_address"] = process["admin"]
        for key, listen in listens.items():
            host, port = process[key].removeprefix("dns:").split(":")
            assert services[host][int(port)] == owner
            assert listen == f"0.0.0.0:{port}"
        (workload,) = [one for one in of(*WORKLOADS) if name(one) == owner]
        assert process["metrics"] == f"0.0.0.0:{ports(workload)['metrics']}"
    headless = {name(one) for one in of("Service") if one["spec"].get("clusterIP") == "None"}
    assert headless == {one["address"].split(":")[1] for one in (*table["index"], *table["ranker"])}


def test_what_guards_a_workload_names_it() -> None:
    for budget in of("PodDisruptionBudget"):
        assert [name(one) for one in taken(budget["spec"]["selector"])] == [name(budget)]
    scaled = {name(one): one for one in of("HorizontalPodAutoscaler")}
    for workload in of(*WORKLOADS):
        scaler = scaled.pop(name(workload), None)
        # What is scaled says no number, which an apply would set again; the library is one.
        assert workload["spec"].get("replicas") == (None if scaler else 1)
        if scaler:
            assert scaler["spec"]["scaleTargetRef"]["kind"] == workload["kind"]
            assert "cpu" in container(workload)["resources"]["requests"]
        if workload["kind"] == "StatefulSet":
            assert workload["spec"]["serviceName"] == name(workload)
        for spread in pod(workload)["spec"].get("topologySpreadConstraints", []):
            assert [name(one) for one in taken(spread["labelSelector"])] == [name(workload)]
    assert not scaled


def test_autoscalers_count_what_processes_tell() -> None:
    told = {about.name for about in metrics.ALL}
    for scaler in of("HorizontalPodAutoscaler"):
        counted = [one["pods"]["metric"]["name"] for one in scaler["spec"]["metrics"] if "pods" in one]
        # Of a name that nothing exports Kubernetes would take no replica away.
        assert counted == ["spr_admission_waiting"]
        assert counted[0] in told


def let_in(workload: Manifest) -> dict[str, list[dict[str, Any]]]:
    """Return who may call each port of a workload's pods, by network policies."""
    callers: dict[str, list[dict[str, Any]]] = {}
    for policy in of("NetworkPolicy"):
        if workload in taken(policy["spec"]["podSelector"]):
            for rule in policy["spec"].get("ingress", []):
                for port in rule["ports"]:
                    callers.setdefault(port["port"], []).extend(rule["from"])
    return callers


def test_each_port_is_open_to_those_who_call_it() -> None:
    (closed,) = [one for one in of("NetworkPolicy") if name(one) == "none"]
    assert closed["spec"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    workers = {"ranker", "shard-00000", "shard-00001"}
    for workload in of(*WORKLOADS):
        callers = let_in(workload)
        assert set(callers) == set(ports(workload))
        for port in set(callers) & {"grpc", "jobs"}:
            assert [name(one) for who in callers[port] for one in taken(who["podSelector"])] == ["spr"]
        mute = [
            name(one)
            for one in of("NetworkPolicy")
            if one["spec"]["policyTypes"] == ["Egress"] and workload in taken(one["spec"]["podSelector"])
        ]
        assert mute == (["workers-call-nobody"] if name(workload) in workers else [])


def test_volumes_secrets_and_scrapes_exist() -> None:
    claims = {name(one) for one in of("PersistentVolumeClaim")}
    for workload in of(*WORKLOADS):
        volumes = {one["name"]: one for one in pod(workload)["spec"]["volumes"]}
        mounts = {one["mountPath"]: one for one in container(workload)["volumeMounts"]}
        assert {one["name"] for one in mounts.values()} == set(volumes)
        for volume in volumes.values():
            assert volume.get("persistentVolumeClaim", {}).get("claimName", "videos") in claims
        writes = name(workload) in ("spr", "library")
        assert mounts["/collection"].get("readOnly", False) is not writes
    (config,) = of("ConfigMap")
    assert config["data"] == {"topology.toml": TOPOLOGY.read_text(encoding="utf-8")}
    (monitor,) = of("ServiceMonitor")
    scraped = [one for one in of("Service") if "metrics" in {port["name"] for port in one["spec"]["ports"]}]
    assert {reached()[name(one)][8400] for one in scraped} == {name(one) for one in of(*WORKLOADS)}
    for service in scraped:
        assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert [one["port"] for one in monitor["spec"]["endpoints"]] == ["metrics"]


def test_the_secret_has_the_files_of_the_topology() -> None:
    table = topology()
    needed = {str(path) for path in (*table["access"].values(), table["library"]["token"])}
    (listed,) = re.findall(
        r"foreach file,([^,]+),--from-file", (ROOT / "Makefile").read_text(encoding="utf-8")
    )
    assert needed == {f"/etc/spr-access/{file}" for file in listed.split()}


def test_jobs_run_as_the_pods_that_serve_and_build_their_shards(tmp_path: Path) -> None:
    serving = next(one for one in of(*WORKLOADS) if name(one) == "library")
    claims = {name(one) for one in of("PersistentVolumeClaim")}
    jobs = {
        path.stem: yaml.safe_load(path.read_text("utf-8")) for path in (DEPLOY / "k8s").glob("*-job.yaml")
    }
    assert jobs.keys() == {"build-job", "ingest-job"}
    for job in jobs.values():
        assert job["metadata"]["namespace"] == serving["metadata"]["namespace"]
        # No policy opens a port of theirs.
        assert not matches(serving["spec"]["selector"], pod(job)["metadata"]["labels"])
        assert pod(job)["spec"]["securityContext"] == pod(serving)["spec"]["securityContext"]
        for key in ("image", "securityContext"):
            assert container(job)[key] == container(serving)[key]
        for volume in pod(job)["spec"]["volumes"]:
            assert volume.get("persistentVolumeClaim", {}).get("claimName", "videos") in claims
    command, *given = (
        arg.replace("/collection", str(tmp_path)) for arg in container(jobs["build-job"])["args"]
    )
    assert command == "build"
    options = build.command.make_context("build", given).params
    assert options["shards"] == len(topology()["index"])
