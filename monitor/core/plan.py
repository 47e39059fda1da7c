"""What the configuration asks of the core, in the core's own units (microseconds, names, rates)."""

from datetime import timedelta

from msgspec import Struct

from detectors.profile import Grid
from monitor.config import Model, Monitor
from monitor.core.policy import Rule
from monitor.core.vectors import embeddings_of

MICROSECOND = timedelta(microseconds=1)
PERFORMANCE_SHARE = 0.2
"""Of the budget of a model with outcomes, this is for its performance, the rest for drift and quality."""
Rate = tuple[float, timedelta]
"""How many false episodes may be expected, in which time."""


class Plan(Struct, frozen=True):
    """One model's settings, durations in microseconds; first is 0 where the reference is a file."""

    model: Model
    window: int
    lateness: int
    first: int
    horizon: int
    rule: Rule

    @classmethod
    def of(cls, model: Model) -> "Plan":
        """Read a model's settings."""
        alarms = model.alarms
        return cls(
            model,
            model.window // MICROSECOND,
            model.lateness // MICROSECOND,
            (model.reference.first or timedelta(0)) // MICROSECOND,
            model.label_horizon // MICROSECOND,
            Rule(alarms.enter, alarms.keep_firing, alarms.cooldown // MICROSECOND),
        )

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    @property
    def rate(self) -> Rate:
        """What drift and quality may spend of the budget of false episodes."""
        number, time = self.model.alarms.rate
        return (number * (1.0 - PERFORMANCE_SHARE) if _has_outcomes(self.model) else number), time

    @property
    def performance_rate(self) -> Rate:
        """What performance may spend of the budget."""
        number, time = self.model.alarms.rate
        return number * PERFORMANCE_SHARE, time

    def patience(self, kind: str) -> int:
        """Return how long after its window a kind of verdict may come: outcomes take up to the horizon."""
        return self.horizon + self.lateness if kind == "performance" else 0

    def retrain_cooldown(self, place: int) -> int:
        """Return the cooldown of one retraining wish in microseconds of event time."""
        return self.model.retrain[place].cooldown // MICROSECOND


def known_columns(model: Model) -> frozenset[str]:
    """Return every column of the log that the configuration names."""
    columns, features = model.columns, model.features
    scores = columns.score.values() if isinstance(columns.score, dict) else (columns.score,)
    named = {columns.prediction_id, columns.timestamp, columns.version, columns.prediction}
    named |= {columns.label, columns.query}
    watched = (*features.numeric, *features.categorical) if features else ()
    vectors = [name for e in embeddings_of(features.embeddings if features else {}) for name in e.columns]
    return frozenset({*named, *scores, *columns.segments, *columns.groups, *watched, *vectors} - {""})


def _has_outcomes(model: Model) -> bool:
    return model.task != "none" and bool(model.columns.label)


def joins(model: Model) -> bool:
    """Tell whether outcomes are read."""
    return any(source.role != "predictions" for source in model.sources)


def score_columns(model: Model) -> tuple[str, ...]:
    """Return the canonical score columns: `score`, or `score_<class>` for a table of classes."""
    score = model.columns.score
    return tuple(f"score_{name}" for name in score) if isinstance(score, dict) else ("score",) * bool(score)


def targets(model: Model, grid: Grid, monitor: Monitor) -> tuple[str, ...]:
    """Return the features that a monitor's `on` names, in the grid's order; or the embedding."""
    spoken = {n for n in ("prediction",) if model.columns.prediction} | set(score_columns(model))
    numeric = {f.name for f in grid.numeric}
    chosen = {
        "features": {f.name for f in grid.features} - spoken,
        "numeric": numeric - spoken,
        "categorical": {f.name for f in grid.categorical} - spoken,
        "prediction": {"prediction"},
        "score": spoken - {"prediction"},
    }
    if isinstance(monitor.on, str) and monitor.on not in chosen:
        return tuple(e.name for e in grid.embeddings if e.name == monitor.on)
    wanted = chosen[monitor.on] if isinstance(monitor.on, str) else set(monitor.on)
    return tuple(f.name for f in grid.features if f.name in wanted)
