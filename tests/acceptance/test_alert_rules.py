"""The shipped rules and examples as Prometheus' and Alertmanager's own tools see them."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.rule_files import write_rules

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULE_TESTS = sorted((ROOT / "tests" / "alert_rules").glob("*.yml"))
Find = Callable[[str], str]


def said(*command: str | Path) -> str:
    """Run a program that must end with 0; returns what it printed."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_prometheus_takes_the_rules_as_they_are_and_as_they_are_written(
    program: Find, tmp_path: Path
) -> None:
    shipped = sorted((ROOT / "alert_rules").glob("*.yml"))
    written = write_rules(tmp_path / "driftd")
    (tmp_path / "prometheus.yml").write_text((DEPLOY / "prometheus.yml").read_text())

    for rules in (*shipped, *written):
        assert "SUCCESS" in said(program("promtool"), "check", "rules", "--lint=all", "--lint-fatal", rules)
    assert "4 rule files found" in said(program("promtool"), "check", "config", tmp_path / "prometheus.yml")


@pytest.mark.parametrize("rules", RULE_TESTS, ids=lambda p: p.stem)
def test_every_rule_fires_when_it_should_and_not_else(program: Find, rules: Path) -> None:
    assert "SUCCESS" in said(program("promtool"), "test", "rules", rules)


def test_every_query_in_a_runbook_can_be_asked(program: Find, tmp_path: Path) -> None:
    pages = sorted((ROOT / "docs" / "runbooks").iterdir())
    blocks = [re.findall(r"^```promql\n(.*?)^```", p.read_text(), re.MULTILINE | re.DOTALL) for p in pages]
    queries = [line for found in blocks for block in found for line in block.splitlines()]
    rules = [f"      - {{record: 'runbook:query:{i}', expr: '{q}'}}\n" for i, q in enumerate(queries)]
    (tmp_path / "queries.yml").write_text("groups:\n  - name: runbooks\n    rules:\n" + "".join(rules))

    assert len(queries) > len(pages)
    assert all(blocks)
    assert "SUCCESS" in said(program("promtool"), "check", "rules", tmp_path / "queries.yml")


@pytest.mark.parametrize(
    ("severity", "receiver"), [("page", "pages"), ("ticket", "tickets"), ("", "tickets")]
)
def test_alertmanager_sends_pages_and_tickets_apart(program: Find, severity: str, receiver: str) -> None:
    config = f"--config.file={DEPLOY / 'alertmanager.yml'}"

    assert "SUCCESS" in said(program("amtool"), "check-config", DEPLOY / "alertmanager.yml")
    labels = [f"severity={severity}"] if severity else ["alertname=Other"]
    assert said(program("amtool"), "config", "routes", "test", config, *labels).strip() == receiver
