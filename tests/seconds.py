"""A model, "loans", with a prediction each second: for tests of the commands, not of what they find."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.programs import Project

CONFIG = """
[daemon]
listen = "127.0.0.1:0"
commit_every = "100ms"

[[models]]
name = "loans"
window = "WINDOW"
lateness = "LATENESS"

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


def config(window: str = "1h", lateness: str = "10m") -> str:
    """Return a configuration of these times."""
    return CONFIG.replace("WINDOW", window).replace("LATENESS", lateness)


def made(folder: Path, text: str) -> Project:
    """Write a configuration and the reference."""
    (folder / "reference.csv").write_text("x,y\n" + "".join(f"{i % 97},{i % 2}\n" for i in range(1_000)))
    return Project(folder).configure(text)


def lines(first: int, count: int, start: datetime = START) -> list[bytes]:
    """Return predictions, numbered on; number 0 is at the start."""
    return [
        f'{{"id": {i}, "at": "{start + timedelta(seconds=i)}", "y": {i % 2}, "x": {i % 97}}}\n'.encode()
        for i in range(first, first + count)
    ]
