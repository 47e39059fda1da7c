"""Rows that come again, from an unsure client or from two shippers, change nothing but their own count."""

import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.programs import Project

pytestmark = pytest.mark.acceptance

CONFIG = """
[[models]]
name = "loans"
window = "1h"
lateness = "2h"

[models.columns]
prediction_id = "id"
timestamp = "at"
prediction = "y"

[models.features]
numeric = ["x"]

[models.reference]
path = "reference.csv"

[[models.sources]]
role = "predictions"
type = "files"
path = "logs/*.jsonl"
"""
START = datetime(2026, 3, 1, tzinfo=UTC)
LINES = [
    f'{{"id": {i}, "at": "{START + timedelta(seconds=i)}", "y": {i % 2}, "x": {i % 97}}}\n'.encode()
    for i in range(9_000)
]


def project(folder: Path) -> Project:
    folder.mkdir()
    (folder / "reference.csv").write_text("x,y\n" + "".join(f"{i % 97},{i % 2}\n" for i in range(1_000)))
    return Project(folder).configure(CONFIG)


def but_for_counts(made: Project) -> str:
    """Return the metrics less the counts of what was received, and the configuration's hash."""
    return re.sub(r'config="\w+"|driftd_events_(received|duplicate).*', "", made.metrics())


def test_resent_shuffled_and_shipped_twice_it_is_counted_once(tmp_path: Path) -> None:
    calm, made = project(tmp_path / "calm"), project(tmp_path / "resent")
    calm.append("a.jsonl", b"".join(LINES))
    calm.once("--flush")

    rng = random.Random(3)
    for first in range(0, len(LINES), 1_500):
        batch = LINES[first : first + 1_500]
        for name in ("a.jsonl", "a.jsonl", "other-shipper.jsonl"):
            rng.shuffle(batch)
            made.append(name, b"".join(batch))
        made.once()
    made.once("--flush")

    events = made.status()["models"][0]["events"]
    assert events == {
        "received": 3 * len(LINES),
        "stored": len(LINES),
        "rejected": 0,
        "duplicate": 2 * len(LINES),
        "late": 0,
        "dropped": 0,
    }
    assert but_for_counts(made) == but_for_counts(calm)
