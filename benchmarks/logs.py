"""Which logs the benchmark reads: their names, sizes and columns. Imports nothing heavy.

The runner's own memory would otherwise show in its children's peaks (see measure.py).
"""

from dataclasses import dataclass
from pathlib import Path

SLICE = 100_000
"""Rows that are made at a time."""

HOUR = 3_600_000_000
START = 1_736_121_600_000_000
"""2025-01-06T00:00:00Z in microseconds."""

SIZES = (3, 10, 50, 200, 1000)
NUMERIC = tuple(f"num_{i:02d}" for i in range(20))
CATEGORICAL = tuple(f"cat_{size}" for size in SIZES)


@dataclass(frozen=True, slots=True)
class Log:
    """A log to make: how many hourly windows, how many slices of rows in each, in which format."""

    name: str
    windows: int
    slices_per_window: int
    suffix: str

    @property
    def path(self) -> Path:
        """Where the log lies; the number changes with the recipe."""
        return Path(__file__).parent / ".data" / f"{self.name}-v1{self.suffix}"

    @property
    def slices(self) -> int:
        """How many slices the log has."""
        return self.windows * self.slices_per_window

    @property
    def rows(self) -> int:
        """How many rows the log has."""
        return self.slices * SLICE


REFERENCE = Log("reference", 1, 1, ".parquet")
PARQUET = Log("log-2m", 20, 1, ".parquet")
LINES = Log("log-2m", 20, 1, ".jsonl")
WIDE = Log("wide-20m", 20, 10, ".parquet")
LONG = Log("long-20m", 200, 1, ".parquet")
LOGS = {log.name + log.suffix: log for log in (REFERENCE, PARQUET, LINES, WIDE, LONG)}
"""WIDE has the same 20 windows with ten times the rows in each, LONG ten times as many windows."""
