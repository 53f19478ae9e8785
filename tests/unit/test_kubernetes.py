"""What `deploy/kubernetes` asks for is what a cluster takes, and what our processes need."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from stocktake.settings import Settings

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
KUSTOMIZATION: Any = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
#: What the schemas of Kubernetes itself do not know.
FOREIGN = {"keda.sh/v1alpha1"}
#: The kubectl that people have, and the newest.
VERSIONS = ("1.30.0", kubernetes_validate.latest_version())


def _documents(file: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(file.read_text()) if each]


RESOURCES = [each for name in KUSTOMIZATION["resources"] for each in _documents(FOLDER / name)]
WORKLOADS = [each for each in RESOURCES if each["kind"] in ("Deployment", "Job")]


def _name(resource: dict[str, Any]) -> str:
    return f"{resource['kind']} {resource['metadata']['name']}"


def _pod(workload: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = workload["spec"]["template"]["spec"]
    return pod


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("resource", RESOURCES, ids=_name)
def test_it_is_of_the_schema(resource: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(resource, version, strict=True)


def test_every_file_is_part_of_the_base_or_an_example() -> None:
    files = {file.name for file in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    examples = files - set(KUSTOMIZATION["resources"])
    assert examples == {"scaling.yaml"}
    (example,) = _documents(FOLDER / "scaling.yaml")
    assert example["apiVersion"] in FOREIGN
    named = {each["metadata"]["name"] for each in WORKLOADS}
    assert example["spec"]["scaleTargetRef"]["name"] in named


@pytest.mark.parametrize("workload", WORKLOADS, ids=_name)
def test_it_is_held_short(workload: dict[str, Any]) -> None:
    pod = _pod(workload)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("workload", WORKLOADS, ids=_name)
def test_no_service_makes_settings_of_its_own(workload: dict[str, Any]) -> None:
    assert _pod(workload)["enableServiceLinks"] is False


@pytest.mark.parametrize("workload", WORKLOADS, ids=_name)
def test_it_names_settings_that_are_some(workload: dict[str, Any]) -> None:
    (container,) = _pod(workload)["containers"]
    (settings,) = (each for each in RESOURCES if each["kind"] == "ConfigMap")
    named = {each["name"] for each in container["env"]} | settings["data"].keys()
    known = {f"STOCKTAKE_{name.upper()}" for name in Settings.model_fields}
    assert named - {"FLOWER_BASIC_AUTH"} <= known


@pytest.mark.parametrize("workload", WORKLOADS, ids=_name)
def test_it_is_given_its_own_secrets(workload: dict[str, Any]) -> None:
    (container,) = _pod(workload)["containers"]
    named = {each["name"] for each in container["env"]}
    assert ("STOCKTAKE_METRICS_TOKEN" in named) == (container["name"] == "web")
    assert ("FLOWER_BASIC_AUTH" in named) == (container["name"] == "flower")
    assert ("STOCKTAKE_SECRET_KEYS" in named) == (container["name"] in ("web", "worker", "migrate"))


def test_its_processes_are_those_of_the_procfile() -> None:
    lines = (FOLDER.parents[1] / "Procfile").read_text().splitlines()
    commands = dict(line.split(": exec ", 1) for line in lines)
    for workload in WORKLOADS:
        (container,) = _pod(workload)["containers"]
        if container["name"] in ("worker", "clock"):
            command = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", commands[container["name"]])
            assert " ".join(container["command"]).startswith(command)


def test_each_is_given_longer_to_stop_than_its_reads_take() -> None:
    grace = {
        each["metadata"]["labels"]["app.kubernetes.io/component"]: _pod(each).get(
            "terminationGracePeriodSeconds"
        )
        for each in WORKLOADS
    }
    assert grace["worker"] >= Settings.model_fields["worker_grace_seconds"].default + 10


def test_what_has_more_than_one_keeps_one_through_a_drain() -> None:
    kept = {
        each["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"]
        for each in RESOURCES
        if each["kind"] == "PodDisruptionBudget"
    }
    more = {
        each["metadata"]["labels"]["app.kubernetes.io/component"]
        for each in WORKLOADS
        if each["spec"].get("replicas", 1) > 1
    }
    assert kept == more == {"web", "worker", "clock"}
