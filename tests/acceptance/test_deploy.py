"""What is in deploy/: as the tools of its readers see it, and as this source tree is."""

import re
import socket
import subprocess
import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from kubernetes_validate import validate

from monitor.rule_files import GRAFANA, MANIFEST_FILE, RUNBOOKS, write_rules
from tests.programs import BIN, Project, eventually
from tests.seconds import config, lines, made

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE, KUBERNETES = DEPLOY / "compose", DEPLOY / "kubernetes"
Find = Callable[[str], str]


def said(*command: str | Path) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def read(path: Path) -> Any:  # noqa: ANN401 - YAML
    return yaml.safe_load(path.read_text("utf-8"))


def test_systemd_takes_the_unit(program: Find, tmp_path: Path) -> None:
    unit = tmp_path / "driftd.service"
    text = (DEPLOY / "driftd.service").read_text("utf-8")
    unit.write_text(text.replace("/opt/driftd/bin/driftd", "/bin/true"), "utf-8")

    assert said(program("systemd-analyze"), "verify", "--man=no", unit) == ""


def test_the_linter_takes_the_dockerfile() -> None:
    assert said(BIN / "hadolint", DEPLOY / "Dockerfile") == ""


def test_the_dockerfile_copies_what_the_wheel_is_made_of_and_only_that_is_sent() -> None:
    copied = re.findall(
        r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "Dockerfile").read_text("utf-8"), re.MULTILINE
    )
    sources = {name.rstrip("/") for line in copied for name in line.split()}
    sent = {
        line[1:].rstrip("/")
        for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        if line.startswith("!")
    }
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]
    needed = {*wheel["wheel"]["packages"], *wheel["wheel"]["force-include"]}

    assert all((ROOT / name).exists() for name in sources)
    assert sources == sent
    assert [name for name in needed if not any(Path(name).is_relative_to(one) for one in sources)] == []


@pytest.mark.parametrize("name", ["namespace", "service", "statefulset"])
def test_kubernetes_takes_the_manifests(name: str) -> None:
    assert validate(read(KUBERNETES / f"{name}.yaml"), "1.30", strict=True) == "1.30"


def test_kubernetes_parts_fit_together() -> None:
    labels = {"app.kubernetes.io/name": "driftd"}
    pod = read(KUBERNETES / "statefulset.yaml")["spec"]
    service = read(KUBERNETES / "service.yaml")
    scraped = read(KUBERNETES / "servicemonitor.yaml")["spec"]
    (container,) = pod["template"]["spec"]["containers"]
    mounts = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
    settings = tomllib.loads((KUBERNETES / "config.toml").read_text("utf-8"))

    assert pod["selector"]["matchLabels"] == pod["template"]["metadata"]["labels"] == labels
    assert service["spec"]["selector"] == scraped["selector"]["matchLabels"] == service["metadata"]["labels"]
    assert service["metadata"]["labels"][scraped["jobLabel"]] == "driftd"
    assert {e["port"] for e in scraped["endpoints"]} <= {p["name"] for p in service["spec"]["ports"]}
    port = container["ports"][0]["containerPort"]
    assert settings["daemon"]["listen"].endswith(f":{port}")
    assert settings["daemon"]["state"] == mounts["state"]
    assert settings["models"][0]["reference"]["path"].startswith(mounts["logs"])
    assert set(read(KUBERNETES / "kustomization.yaml")["resources"]) | {"kustomization.yaml"} == {
        path.name for path in KUBERNETES.glob("*.yaml")
    }


def test_the_prometheus_rule_is_made_from_the_rules(program: Find, tmp_path: Path) -> None:
    (written,) = write_rules(tmp_path, RUNBOOKS, GRAFANA, kubernetes=True)
    shipped = KUBERNETES / MANIFEST_FILE
    rules = tmp_path / "rules.yml"
    rules.write_text(yaml.safe_dump(read(shipped)["spec"]), "utf-8")
    groups = [
        group for path in sorted((ROOT / "alert_rules").glob("*.yml")) for group in read(path)["groups"]
    ]

    assert written.read_text("utf-8") == shipped.read_text("utf-8")
    assert read(shipped)["spec"]["groups"] == groups
    assert "SUCCESS" in said(program("promtool"), "check", "rules", "--lint=all", "--lint-fatal", rules)


def test_compose_mounts_what_is_there_and_prometheus_takes_its_configuration(
    program: Find, tmp_path: Path
) -> None:
    compose = read(COMPOSE / "compose.yml")
    mounted = [m.split(":") for s in compose["services"].values() for m in s["volumes"]]
    local = [source for source, *_ in mounted if source.startswith(".")]
    text = (COMPOSE / "prometheus.yml").read_text("utf-8")
    rules = tmp_path / "rules"
    write_rules(rules)
    (tmp_path / "prometheus.yml").write_text(text.replace("/srv/driftd/rules", str(rules)), "utf-8")

    assert {source for source, *_ in mounted if not source.startswith(".")} == set(compose["volumes"])
    assert local
    assert all((COMPOSE / source).exists() for source in local)
    assert "4 rule files found" in said(program("promtool"), "check", "config", tmp_path / "prometheus.yml")
    named = {service["image"].partition(":")[0] for service in compose["services"].values()}
    assert named == {"driftd", "prom/prometheus", "prom/alertmanager", "grafana/grafana-oss"}
    assert (
        read(COMPOSE / "grafana" / "dashboards.yml")["providers"][0]["options"]["path"]
        in (compose["services"]["assets"]["command"][0])
    )


@pytest.mark.parametrize("example", [COMPOSE / "driftd", KUBERNETES])
def test_an_example_configuration_is_a_good_one(
    example: Path, tmp_path: Path, car_loans: pl.DataFrame
) -> None:
    text = (example / "config.toml").read_text("utf-8").replace("/var/lib/driftd", "state")
    project = Project(tmp_path).configure(text.replace("/var/log/predictions/", ""), car_loans.head(5_000))
    (tmp_path / "logs" / "predictions-1.jsonl").write_text(car_loans.tail(10).write_ndjson())
    (tmp_path / "predictions-1.jsonl").write_text(car_loans.tail(10).write_ndjson())

    assert "car-loan" in project.driftd("check").stdout


def test_a_supervisor_hears_that_it_is_ready_alive_and_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = made(tmp_path, config())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.settimeout(0)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "2000000")
        heard: list[str] = []

        def listen(until: str) -> bool:
            with suppress(BlockingIOError):
                while True:
                    heard.append(supervisor.recv(100).decode())
            return until in heard

        with project.start(installed=True) as daemon:
            daemon.ready()
            eventually(lambda: listen("READY=1"))
            project.append("a.jsonl", b"".join(lines(0, 100)))
            eventually(lambda: listen("") or heard.count("WATCHDOG=1") >= 3)
            assert daemon.stop() == 0
        listen("STOPPING=1")

    assert heard.index("READY=1") < heard.index("STOPPING=1")
    assert set(heard) == {"READY=1", "WATCHDOG=1", "STOPPING=1"}
