"""Real seasons: the electricity market of New South Wales, judged by what its own windows differ by."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.programs import Project

REFERENCE, OPENING, AFTER = 9_072, 17_424, 480
"""Rows, one every half hour: half a year; and when the Victorian market joined."""
BUDGET_DAYS = 30
FEATURES = ("nswprice", "nswdemand", "vicprice", "vicdemand", "transfer")
OPENED = frozenset({"vicprice", "vicdemand", "transfer"})
CONFIG = """
[daemon]
state = "state"

[[models]]
name = "power"
window = "WINDOW"
columns = { prediction_id = "row", timestamp = "timestamp", score = "score" }
features = { numeric = ["nswprice", "nswdemand", "vicprice", "vicdemand", "transfer"] }
reference = { path = "reference.parquet" }
alarms = { budget = "1 per 30d", min_rows = 4 }
sources = [{ role = "predictions", type = "files", path = "serve.parquet", format = "parquet" }]
"""


@pytest.fixture(scope="module")
def power(data: Path) -> pl.DataFrame:
    market = pl.read_parquet(data / "elec2" / "elec2.parquet")
    scored = pl.read_parquet(data / "elec2" / "predlog_static_hgb.parquet")
    frame = market.rename({"timestamp_derived": "timestamp"}).select("row", "timestamp", *FEATURES)
    return frame.with_columns(score=scored["proba_up"].cast(pl.Float64))


def backtest(folder: Path, power: pl.DataFrame, window: str) -> list[dict[str, Any]]:
    power.head(REFERENCE).write_parquet(folder / "reference.parquet")
    power.slice(REFERENCE, OPENING - REFERENCE + AFTER).write_parquet(folder / "serve.parquet")
    project = Project(folder).configure(CONFIG.replace("WINDOW", window))
    return episodes(project)


def episodes(project: Project) -> list[dict[str, Any]]:
    project.driftd("backtest", "--json", str(project.folder / "out.json"))
    found: list[dict[str, Any]] = json.loads((project.folder / "out.json").read_bytes())["models"][0][
        "episodes"
    ]
    return found


@pytest.mark.parametrize("window", ["2h", "1d"])
def test_seasons_keep_the_budget_and_the_opening_is_found_at_once(
    tmp_path: Path, power: pl.DataFrame, window: str
) -> None:
    opening: datetime = power["timestamp"][OPENING]
    found = backtest(tmp_path, power, window)
    starts = [datetime.fromisoformat(one["started"]).replace(tzinfo=None) for one in found]

    calm = [one for one, start in zip(found, starts, strict=True) if start < opening]
    days = (opening - power["timestamp"][REFERENCE]).days
    assert len(calm) <= days / BUDGET_DAYS
    at_once = {
        o["feature"] for o, s in zip(found, starts, strict=True) if s == opening and o["monitor"] == "shift"
    }
    assert at_once == OPENED


def test_without_times_rows_are_resampled_and_the_budget_is_broken(
    tmp_path: Path, power: pl.DataFrame
) -> None:
    """What the null model of windows is there for."""
    power.head(REFERENCE).drop("timestamp").write_parquet(tmp_path / "reference.parquet")
    power.slice(REFERENCE, OPENING - REFERENCE).write_parquet(tmp_path / "serve.parquet")
    project = Project(tmp_path).configure(CONFIG.replace("WINDOW", "1d"))

    assert len(episodes(project)) > 2 * (OPENING - REFERENCE) / 48 / BUDGET_DAYS
    assert "by resampling rows, as if they were independent" in project.ask("check").stdout
