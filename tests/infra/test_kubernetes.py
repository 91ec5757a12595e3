"""The manifests: by Kubernetes' own schemas, the Dask operator's, and kubectl where it is."""

import importlib.util
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.helpers.checkout import INFRA, documents, tool

FOLDER = INFRA / "kubernetes"
VERSIONS = ("1.30", "1.37")
CRDS = "operator/deployment/helm/dask-kubernetes-operator/crds"
Manifest = dict[str, Any]


def manifests() -> Iterator[Manifest]:
    """All but kustomize's own."""
    for path in sorted(FOLDER.glob("**/*.yaml")):
        yield from (each for each in documents(path) if each["kind"] != "Kustomization")


def of(kind: str, name: str) -> Manifest:
    return next(
        each for each in manifests() if (each["kind"], each["metadata"].get("name")) == (kind, name)
    )


def pods() -> dict[str, Manifest]:
    """Every pod's spec by what makes it."""
    cluster = of("DaskCluster", "segtasks")["spec"]
    plain = {
        f"{each['kind']} {each['metadata'].get('name', '')}": each["spec"]["template"]["spec"]
        for each in manifests()
        if each["kind"] in ("Deployment", "Job")
    }
    return plain | {
        "scheduler": cluster["scheduler"]["spec"],
        "cpu": cluster["worker"]["spec"],
        "gpu": of("DaskWorkerGroup", "segtasks-gpu")["spec"]["worker"]["spec"],
    }


@pytest.fixture(scope="module")
def crds() -> dict[str, Manifest]:
    """The operator's schemas by kind, out of its package; its code is not loaded."""
    found = importlib.util.find_spec("dask_kubernetes")
    if found is None or not found.submodule_search_locations:
        pytest.skip("dask-kubernetes is not installed: pip install --no-deps dask-kubernetes")
    folder = Path(found.submodule_search_locations[0]) / CRDS
    files = ("daskcluster.yaml", "daskworkergroup.yaml")
    each = [definition for name in files for definition in documents(folder / name)]
    return {
        definition["spec"]["names"]["kind"]: definition["spec"]["versions"][0]["schema"]
        for definition in each
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_schemas_of_kubernetes(version: str) -> None:
    validate = pytest.importorskip("kubernetes_validate").validate
    own = [each for each in manifests() if "dask.org" not in each["apiVersion"]]
    assert len(own) == 5
    for each in own:
        validate(each, version, strict=True)


@pytest.mark.parametrize(
    ("kind", "name"), [("DaskCluster", "segtasks"), ("DaskWorkerGroup", "segtasks-gpu")]
)
def test_schemas_of_the_dask_operator(crds: dict[str, Manifest], kind: str, name: str) -> None:
    jsonschema.validate(of(kind, name), crds[kind]["openAPIV3Schema"])


@pytest.mark.parametrize("name", ["scheduler", "cpu", "gpu"])
def test_pods_that_the_operator_makes_fit_kubernetes_too(name: str) -> None:
    """The operator's schemas let unknown fields pass."""
    validate = pytest.importorskip("kubernetes_validate").validate
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": pods()[name]}
    validate(pod, VERSIONS[-1], strict=True)


@pytest.mark.parametrize(("folder", "count"), [(".", 4), ("server", 2)])
def test_kustomize_builds_it(folder: str, count: int) -> None:
    words = [tool("kubectl"), "kustomize", str(FOLDER / folder)]
    built = list(yaml.safe_load_all(subprocess.run(words, capture_output=True, check=True).stdout))
    assert len(built) == count
    assert {each["metadata"]["namespace"] for each in built} == {"segtasks"}
    assert "image: segtasks\n" not in yaml.safe_dump(built)  # each has a tag


def test_no_pod_is_root_or_without_limits_and_each_that_stays_is_watched() -> None:
    for name, pod in pods().items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False, name
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
            assert "memory" in container["resources"]["limits"], name
            stays = pod.get("restartPolicy", "Always") == "Always"
            assert stays == ("livenessProbe" in container), name


def test_workers_offer_what_the_engine_asks_for() -> None:
    for kind in ("cpu", "gpu"):
        (container,) = pods()[kind]["containers"]
        assert f"--resources={kind.upper()}=1" in container["args"]
        limits = container["resources"]["limits"]
        assert ("nvidia.com/gpu" in limits) == (kind == "gpu")


def test_secrets_are_named_and_not_held() -> None:
    assert all(each["kind"] != "Secret" for each in manifests())
    settings = of("ConfigMap", "segtasks")["data"]
    assert not [name for name in settings if re.search("KEY|SECRET|PASSWORD", name)]
    server = pods()["Deployment segtasks-server"]["containers"][0]
    (url,) = [env for env in server["env"] if env["name"].endswith("CONNECTION_URL")]
    assert url["valueFrom"]["secretKeyRef"]["name"] == "segtasks-database"
