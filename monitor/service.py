"""The simulated service: predictions, and outcomes that come hours or days later in a second log."""

from pathlib import Path

import numpy as np
import polars as pl

from monitor.simulate import DAY, HOUR, LABEL, DayFiles, LiveLog, LiveModel, by_day
from monitor.types import Micros

MINUTE: Micros = HOUR // 60
SOONEST: Micros = 4 * HOUR
LATEST: Micros = 40 * HOUR
"""An outcome's delay lies between the two; at the demo's speed that is half a second to five seconds."""
NEVER = 0.02
"""Share of the predictions whose outcome is never known."""
AGAIN = 0.01
"""Share of the predictions whose outcome is sent a second time, with the same value."""
RESENT_WITHIN: Micros = 6 * HOUR
HASTY = 0.005
"""Share of the predictions whose outcome is stamped earlier than they are: two systems, two clocks."""
CLOCKS_APART: Micros = 5 * MINUTE
FATES = 2
"""Names the random stream of delays, beside simulate.TRUTHS."""


class OutcomeLog:
    """The log of outcomes, as DayFiles, in the order of the times at which they became known."""

    def __init__(self, model: LiveModel, folder: Path, start: Micros) -> None:
        self._model = model
        self._files = DayFiles(folder, "outcomes")
        self._written = self._drawn = start
        self._pending = outcomes(model, start, start)

    def write(self, until: Micros, *, incident: bool = False, concept: bool = False) -> int:
        """Append what became known from the last call's time up to `until`; return how many lines.

        incident, concept: as for LiveModel.labelled; they hold for the predictions made since the last
        call. The outcomes of earlier predictions come as they were drawn.
        """
        count = 0
        for start, end in by_day(self._written, until):
            self._draw(end + CLOCKS_APART, incident=incident, concept=concept)
            at = pl.col("timestamp").to_physical()
            known = self._pending.filter(at.is_between(start, end, closed="left"))
            self._files.append(start // DAY, known)
            self._pending = self._pending.filter(at >= end)
            count += known.height
        self._written = max(self._written, until)
        return count

    def _draw(self, until: Micros, *, incident: bool, concept: bool) -> None:
        """Draw ahead of the log by what the clocks differ, so that no hasty outcome is missed."""
        new = outcomes(self._model, self._drawn, until, incident=incident, concept=concept)
        self._pending = _in_order(pl.concat([self._pending, new]))
        self._drawn = until


class LiveService:
    """The whole simulated service: predictions and outcomes, two logs in one folder."""

    def __init__(self, model: LiveModel, folder: Path, start: Micros) -> None:
        self._predictions = LiveLog(model, folder, start)
        self._outcomes = OutcomeLog(model, folder, start)

    def write(self, until: Micros, *, incident: bool = False, concept: bool = False) -> int:
        """Append to both logs up to `until`; return how many predictions there were."""
        count = self._predictions.write(until, incident=incident)
        self._outcomes.write(until, incident=incident, concept=concept)
        return count


def outcomes(
    model: LiveModel, start: Micros, end: Micros, *, incident: bool = False, concept: bool = False
) -> pl.DataFrame:
    """Return the outcomes of the predictions made in [start, end), in the order in which they come.

    Columns: prediction_id String, timestamp Datetime(us, UTC) of the outcome, LABEL Int64 (0 or 1). Values,
    delays and what is missing follow from the model's seed, as in LiveModel.

    >>> known = outcomes(LiveModel(seed=1), 0, DAY)
    >>> known.columns
    ['prediction_id', 'timestamp', 'defaulted']
    >>> known["timestamp"].is_sorted()
    True
    """
    parts = [
        _of_day(
            model.seed, day, model.labelled(day * DAY, (day + 1) * DAY, incident=incident, concept=concept)
        )
        for day in range(start // DAY, max(start, end - 1) // DAY + 1)
    ]
    wanted = pl.col("made").to_physical().is_between(start, end, closed="left")
    return _in_order(pl.concat(parts).filter(wanted).drop("made"))


def _of_day(seed: int, day: int, rows: pl.DataFrame) -> pl.DataFrame:
    """Draw the delays; `rows` is a whole day, so that every slice sees the same stream."""
    rng, n = np.random.default_rng((seed, day, FATES)), rows.height
    delay = SOONEST + (LATEST - SOONEST) * rng.beta(2.0, 5.0, n)
    hasty = rng.random(n) < HASTY
    delay = np.where(hasty, -CLOCKS_APART * rng.random(n), delay)
    known = rng.random(n) >= NEVER
    again = known & ~hasty & (rng.random(n) < AGAIN)
    resent = delay + MINUTE + (RESENT_WITHIN - MINUTE) * rng.random(n)
    made = rows.select("prediction_id", "timestamp", LABEL, made="timestamp")
    first, second = (
        made.with_columns(pl.col("timestamp") + pl.Series(after.astype(np.int64)).cast(pl.Duration("us")))
        for after in (delay, resent)
    )
    return pl.concat([first.filter(pl.Series(known)), second.filter(pl.Series(again))])


def _in_order(known: pl.DataFrame) -> pl.DataFrame:
    return known.sort("timestamp", "prediction_id").select("prediction_id", "timestamp", LABEL)
