"""compose.yaml: by compose's schema, by compose itself where it is, and what a user must set."""

import os
import re
import subprocess

import pytest
import yaml

from tests.helpers.checkout import INFRA, tool
from tests.helpers.compose_file import compose
from tests.helpers.paths import ROOT

FILE = INFRA / "compose.yaml"
REQUIRED = {"POSTGRES_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY"}


def example() -> dict[str, str]:
    """The variables of example.env."""
    lines = (INFRA / "example.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def config(values: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """``docker compose config`` with these variables alone."""
    known = subprocess.run([tool("docker"), "compose", "version"], capture_output=True, check=False)
    if known.returncode:
        pytest.skip("docker has no compose here")
    words = ["docker", "compose", "--file", str(FILE), *options, "config"]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]} | values
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)


def test_the_schema_of_compose() -> None:
    words = [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_compose_reads_it() -> None:
    done = config(dict.fromkeys(REQUIRED, "x"), "--profile", "*")
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) == set(compose()["services"])


def test_compose_asks_for_what_is_not_set() -> None:
    done = config({})
    assert done.returncode != 0
    assert re.search(r"set \w+ in infra/\.env", done.stderr)


def test_the_example_names_what_must_be_set_and_holds_no_secret() -> None:
    asked = set(re.findall(r"\$\{(\w+):\?", FILE.read_text()))
    assert asked == REQUIRED
    assert {name for name, value in example().items() if not value} == REQUIRED
    ignored = ["git", "check-ignore", "--quiet", "infra/.env"]
    if (ROOT / ".git").exists():
        assert subprocess.run(ignored, cwd=ROOT, check=False).returncode == 0


def test_every_service_that_stays_has_a_health_check_and_comes_back() -> None:
    for name, service in compose()["services"].items():
        stays = service["restart"] != "no"
        assert stays == (service["restart"] == "unless-stopped") == ("healthcheck" in service), name


def test_only_this_machine_reaches_it() -> None:
    ports = [port for each in compose()["services"].values() for port in each.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", ["cpu-worker", "gpu-worker"])
def test_workers_offer_what_the_engine_asks_for(name: str) -> None:
    kind = name[:3].upper()
    assert f"--resources={kind}=1" in compose()["services"][name]["command"]


def test_images_are_those_that_the_dockerfile_builds() -> None:
    stages = (INFRA / "Dockerfile").read_text()
    for service in compose()["services"].values():
        if "build" in service:
            target = service["build"]["target"]
            assert f"FROM runtime AS {target}\n" in stages
            assert service["image"].endswith(f"-{target}")
