"""The car loans with a monitor that their log trips at once: for tests of what follows from that."""

from pathlib import Path

import polars as pl

from tests.programs import CAR_LOAN, Project

DRIFTS = f"""
[daemon]
listen = "127.0.0.1:0"
commit_every = "100ms"
{CAR_LOAN}
window = "7d"
features.numeric = ["car_value"]

[[models.sources]]
role = "predictions"
type = "files"
path = "logs/*.jsonl"

[[models.monitors]]
detector = "ks"
threshold = 0.1
"""
ASKS = """
[[models.retrain]]
webhook = "training"
when = ["drift"]

[webhooks.training]
url = "URL"
allow_private = true
secret_file = "secret"
timeout = "5s"
"""
"""What follows DRIFTS where a webhook is asked."""


def drifting(folder: Path, loans: pl.DataFrame, text: str) -> Project:
    """Write a project with this configuration, its reference, and a log that drifts."""
    frame = loans.drop("period", "repaid")
    project = Project(folder).configure(text, frame.head(50_000))
    project.append("predictions.jsonl", frame.tail(3_000).write_ndjson().encode())
    return project
