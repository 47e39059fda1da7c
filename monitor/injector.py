"""`--inject` at work: decoded batches with changes made to some of their rows.

A row is picked by the hash of its id (without one, of its content): the same rows in every run, whatever
the batches. The change is made to decoded columns, before anything looks at their values.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from msgspec.structs import replace
from numpy.typing import NDArray

from monitor.config import Columns
from monitor.core.hashing import hash_rows, hash_text, mix
from monitor.core.schema import column_of
from monitor.core.timestamps import detect_unit, read_times
from monitor.core.values import Mask, read_text
from monitor.fields import TimeUnit
from monitor.injection import Change, How
from monitor.polling import Decode
from monitor.types import Decoded

Hashes = NDArray[np.uint64]
UNIT = 2.0**-53
"""53 bits of a hash times this are a number of [0, 1)."""


class Injector:
    """Makes changes in one model's log. rows: how many rows each change was due for so far.

    Used by one thread at a time.
    """

    def __init__(self, changes: Sequence[Change], columns: Columns) -> None:
        self.rows = [0] * len(changes)
        self._changes = changes
        self._columns = columns
        self._units: dict[str, TimeUnit] = {}

    def around(self, decode: Decode) -> Decode:
        """Return what decodes batches as `decode` does, and then makes the changes."""
        return lambda batch: tuple(self._changed(decoded, batch.source) for decoded in decode(batch))

    def _changed(self, decoded: Decoded, source: str) -> Decoded:
        stamps = column_of(decoded, self._columns.timestamp)
        time, readable = read_times(stamps, self._unit(stamps, source))
        hashes = self._hashes(decoded, time)
        for place, change in enumerate(self._changes):
            due = readable & (time >= change.wish.start)
            if change.wish.end is not None:
                due &= time < change.wish.end
            if due.any() and change.column in decoded.frame.columns:
                self.rows[place] += int(np.count_nonzero(due))
                column = changed(decoded.frame[change.column], change, due, hashes)
                decoded = replace(decoded, frame=decoded.frame.with_columns(column))
        return decoded

    def _unit(self, stamps: pl.Series, source: str) -> TimeUnit:
        """Return what the source's timestamps count, found once as the pipeline does."""
        if self._columns.timestamp_unit != "auto":
            return self._columns.timestamp_unit
        if source not in self._units and (found := detect_unit(stamps)) is not None:
            self._units[source] = found
        return self._units.get(source, "auto")

    def _hashes(self, decoded: Decoded, time: NDArray[np.int64]) -> Hashes:
        if self._columns.prediction_id:
            return hash_text(read_text(column_of(decoded, self._columns.prediction_id))[0])
        columns = [decoded.frame[name] for name in sorted(decoded.frame.columns)]
        return hash_rows(time, [c if c.dtype == pl.Float64 else read_text(c)[0] for c in columns])


def changed(column: pl.Series, change: Change, due: Mask, hashes: Hashes) -> pl.Series:
    """Return a column of a chunk with the change made to the rows that are due. hashes: one per row."""
    what, name = change.wish.what, change.column
    if what.how is How.SHIFT:
        return (column + change.amount).zip_with(pl.Series(due), column)
    if what.how is How.SCALE:
        return (column * change.amount).zip_with(pl.Series(due), column)
    drawn = mix(hashes ^ change.salt)
    picked = pl.Series(due & (_uniform(drawn) < change.amount))
    if what.how is How.NULL:
        nothing = pl.Series(name, [None], column.dtype).new_from_index(0, len(column))
        return nothing.zip_with(picked, column)
    text = read_text(column)[0]
    if change.others:
        mine, places = text == what.value, _places(change.odds, _uniform(mix(drawn ^ change.salt)))
        other = pl.Series(name, change.others).gather(places)
    else:
        mine, other = text != what.value, pl.Series(name, [what.value]).new_from_index(0, len(text))
    return other.zip_with(picked & mine.fill_null(value=False), text)


def _places(odds: Sequence[float], drawn: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.minimum(np.searchsorted(odds, drawn, side="right"), len(odds) - 1)


def _uniform(hashes: Hashes) -> NDArray[np.float64]:
    return (hashes >> np.uint64(11)).astype(np.float64) * UNIT
