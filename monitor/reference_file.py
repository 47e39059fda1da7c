"""A model's reference file while the model is opened: read once, typed once, for all who learn from it."""

from functools import cached_property
from pathlib import Path

import polars as pl
from msgspec import Struct

from monitor.config import Model
from monitor.core.profiles import Rows, Run
from monitor.core.reference import Baseline
from monitor.core.schema import Schema
from monitor.errors import ReferenceUnusableError
from monitor.references import (
    at_no_time,
    at_their_times,
    baseline_from,
    in_windows,
    read_frame,
    schema_of,
)
from monitor.types import TypedRows


class ReferenceFile(Struct, frozen=True, dict=True):
    """Reads when it is first asked; a start on a state in order never asks.

    stored: the baseline that serves the model as configured, None where one must be made of the file.
    """

    model: Model
    path: Path
    stored: Baseline | None = None
    run: Run = map

    @property
    def origin(self) -> str:
        """Where a baseline of it says that it came from."""
        return f"file {self.path}"

    @cached_property
    def stamp(self) -> str:
        """Name the state of the file that is read: one that was written since has another."""
        try:
            found = self.path.stat()
        except OSError as error:
            raise ReferenceUnusableError(
                f"{self.path}: the reference cannot be read: {error.strerror}"
            ) from error
        return f"{found.st_size}/{found.st_mtime_ns}"

    @cached_property
    def frame(self) -> pl.DataFrame:
        """All that it holds. Raises ReferenceUnusableError."""
        _, frame = self.stamp, read_frame(self.path)  # in this order: writing meanwhile makes another state
        return frame

    @cached_property
    def schema(self) -> Schema:
        """The schema of the model's log."""
        return schema_of(self.model, None if self.stored is not None else self.frame, self.stored)

    @cached_property
    def baseline(self) -> Baseline:
        """A baseline of it, not yet numbered."""
        named = self.schema.columns.prediction_id in self.frame.columns
        # rows without an id are known by their content, of which their time is a part
        rows = self._timed if named else at_no_time(self.schema, self.frame, self.origin)
        return baseline_from(self.schema, rows, (self.origin, frozenset(self.frame.columns)), self.run)

    def made(self, baseline: Baseline) -> bool:
        """Tell whether a baseline was made of the rows that it holds, whatever columns nobody watches."""
        mine = self.baseline
        same = mine.grid == baseline.grid and mine.profiles.keys() == baseline.profiles.keys()
        return same and all(
            mine.profiles[k].cells.tobytes() == baseline.profiles[k].cells.tobytes() for k in mine.profiles
        )

    def rows(self, window: int) -> Rows:
        """Return its rows as `timed_rows` does."""
        return in_windows(self._timed, window)

    @cached_property
    def _timed(self) -> TypedRows:
        return at_their_times(self.schema, self.frame, self.origin)
