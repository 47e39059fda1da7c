"""What a pipeline is sent, and `driftd explain` says: one cause of 20 features, and a changed relation."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from monitor.cli import main
from tests.alerting import Receiver

pytestmark = pytest.mark.acceptance
BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
ROWS = 60
"""Rows of an hour."""
CRM = [f"crm{i}" for i in range(20)]
OTHERS = [f"own{i}" for i in range(5)]
CONFIG = """
[[models]]
name = "m"
task = "binary"
window = "1h"
lateness = "10m"
label_horizon = "2h"
columns = { prediction_id = "id", timestamp = "at", prediction = "pred", score = "p", label = "label" }
reference = { path = "reference.parquet" }
alarms = { min_rows = 30 }
upstream = { crm = CRM }

[[models.sources]]
role = "both"
type = "files"
path = "logs/*.jsonl"

[[models.retrain]]
webhook = "training"
when = ["quality", "performance"]
cooldown = "1h"
max_per_week = 100

[webhooks.training]
url = "URL/hook"
auth = "none"
allow_private = true
"""


def rows(begin: int, hours: int, seed: int, *, lost: float = 0.0, turned: bool = False) -> pl.DataFrame:
    """Return hours of a log. lost: share of the rows without all of the crm's features. turned: labels."""
    rng, n = np.random.default_rng(seed), hours * ROWS
    at = [BEGIN + timedelta(hours=begin, seconds=3600 / ROWS * i) for i in range(n)]
    made = {name: rng.normal(size=n) for name in (*CRM, *OTHERS)}
    p = 1.0 / (1.0 + np.exp(-2.0 * made["own0"]))
    label, gone = (rng.random(n) < p) != turned, rng.random(n) < lost
    return pl.DataFrame(
        {
            "id": [f"{seed}-{i}" for i in range(n)],
            "at": pl.Series(at).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"),
            "p": p,
            "pred": (p > 0.5).astype(np.int64),
            "label": label.astype(np.int64),
            **{name: np.where(gone & (name in CRM), np.nan, values) for name, values in made.items()},
        }
    ).with_columns(pl.col(CRM).fill_nan(None))


def explained(folder: Path, episode: str) -> str:
    done = CliRunner().invoke(main, ["explain", episode, "--verify", "--config", str(folder / "config.toml")])
    assert done.exit_code == 0, done.output
    return done.output


def told(bodies: list[dict[str, Any]], name: str) -> dict[str, dict[str, Any]]:
    """Return the episodes that the requests tell something of, by their ids."""
    each = [one for body in bodies for one in body["data"].get("episodes", [])]
    return {one["id"]: one for one in each if one[name]}


def test_one_group_that_fails_is_one_episode_and_a_concept_that_drifts_a_changed_relation(
    tmp_path: Path,
) -> None:
    (tmp_path / "logs").mkdir()
    rows(-24 * 8, 24 * 8, 1).write_parquet(tmp_path / "reference.parquet")
    parts = [rows(0, 4, 2), rows(4, 3, 3, lost=0.5), rows(7, 6, 4), rows(13, 5, 5, turned=True)]
    pl.concat(parts).write_ndjson(tmp_path / "logs" / "a.jsonl")
    with Receiver() as receiver:
        text = CONFIG.replace("URL", receiver.address).replace("CRM", json.dumps(CRM))
        (tmp_path / "config.toml").write_text(text)
        ran = CliRunner().invoke(
            main, ["run", "--once", "--flush", "--config", str(tmp_path / "config.toml")]
        )
        assert ran.exit_code == 0, ran.output
        bodies = [body for _, body in receiver.got]

    asked = [{one["kind"] for one in body["data"]["monitors"]} for body in bodies]
    ((crm, cause),) = told(bodies, "cause").items()
    assert asked[0] == {"quality"}
    assert cause["cause"].startswith("20 features of upstream group crm missing at once: crm0, crm1, ")
    assert cause["onset"] == "2026-01-05T04:00:00Z"
    missing = [one for body in bodies for one in body["data"]["monitors"] if one["feature"] in CRM]
    assert {one["episode"] for one in missing} == {crm}
    assert f"  cause     {cause['cause']}" in explained(tmp_path, crm)

    changes = told(bodies, "change")
    assert {one["change"] for one in changes.values()} == {"relation changed"}
    assert {one["onset"] for one in changes.values()} == {"2026-01-05T13:00:00Z"}
    for episode in changes:
        assert "  reason    relation changed: " in explained(tmp_path, episode)
