"""Whether a metric is worse than it may be: by its whole interval, and in the direction that does harm.

A metric is worse when even the better end of its interval is beyond what the reference had by more than the
tolerance, both known only so well: the distances to the two ends add up in squares (Zou and Donner 2008). So
few outcomes, here or in the reference, make a wide interval and no alarm, and an improvement never is one.
"""

import math
from collections.abc import Mapping

from msgspec import Struct

from detectors.base import Level, Verdict
from detectors.measure import Better, Estimate

WHOLE = "_all"
"""The feature of a verdict about all features together."""
UNBOUNDED = (
    "log_loss",
    "mae",
    "mse",
    "rmse",
    "mape",
    "bias",
    "cost",
    "pinball",
    "label_mean",
    "prediction_mean",
)
"""Metrics (before any colon) not of 0 to 1: their tolerance is a share of the reference's value."""
ESTIMATED = "estimated_"
METRICS = frozenset(
    (
        *("accuracy", "precision", "recall", "f1", "specificity", "balanced_accuracy", "mcc", "log_loss"),
        *("brier", "roc_auc", "average_precision", "ece", "cost", "precision_macro", "recall_macro"),
        *("f1_macro", "specificity_macro", "precision_weighted", "recall_weighted", "f1_weighted"),
        *("specificity_weighted", "mae", "mse", "rmse", "mape", "r2", "pinball"),
        *("mrr", "ndcg", "map", "recall", "hit_rate"),
    )
)
"""What may be judged, without the class or the cutoff that some names end with (recall:1, ndcg@10)."""
DEFAULTS: Mapping[str, tuple[str, ...]] = {
    "binary": ("accuracy", "roc_auc"),
    "multiclass": ("accuracy", "f1_macro"),
    "regression": ("mae", "rmse"),
    "ranking": ("ndcg@10", "mrr"),
}
"""What is judged when nothing is configured."""


class Allowed(Struct, frozen=True):
    """How much worse a metric may be: `tolerance` for metrics of 0 to 1, `relative` as a share for others."""

    tolerance: float
    relative: float
    min_rows: int

    def of(self, metric: str, reference: float) -> float:
        """Return the allowance in the metric's unit, above 0."""
        if metric.partition(":")[0] in UNBOUNDED:
            return max(abs(reference) * self.relative, 1e-12)
        return self.tolerance


class Question(Struct, frozen=True):
    """Which metric is judged: realised, or estimated; threshold: the user's own, in the metric's unit."""

    metric: str
    better: Better
    estimated: bool = False
    threshold: float | None = None

    @property
    def detector(self) -> str:
        """The name under which the verdict is known."""
        return f"{ESTIMATED}{self.metric}" if self.estimated else self.metric

    @property
    def kind(self) -> str:
        """Which kind of alarm it raises."""
        return "estimated_performance" if self.estimated else "performance"


def limit(question: Question, reference: float | None, allowed: Allowed) -> float | None:
    """Return the value that the whole interval must be beyond, in the metric's unit; None without any."""
    if question.threshold is not None:
        return question.threshold
    if reference is None:
        return None
    margin = allowed.of(question.metric, reference)
    return reference - margin if question.better is Better.HIGHER else reference + margin


def judge(question: Question, seen: Estimate, reference: Estimate | None, allowed: Allowed) -> Verdict:
    """Judge one metric of one window; both intervals are of one level.

    The score is how far the better end of the difference's interval is from the reference (or from where
    the user's threshold would have it), in the direction of harm, 0 if not at all; the threshold is the
    allowance.

    Examples
    --------
    >>> rule = Allowed(tolerance=0.01, relative=0.1, min_rows=100)
    >>> accuracy, known = Question("accuracy", Better.HIGHER), Estimate(0.944, 0.941, 0.947, 50_000)
    >>> judge(accuracy, Estimate(0.91, 0.90, 0.92, 5000), known, rule).level.value
    'breach'
    >>> judge(accuracy, Estimate(0.98, 0.97, 0.99, 5000), known, rule).level.value
    'ok'

    """
    name, kind = question.detector, question.kind
    if seen.value is None or seen.low is None or seen.high is None or seen.n < allowed.min_rows:
        note = f"{seen.n} rows say too little" if seen.n < allowed.min_rows else "these rows give no value"
        return Verdict(name, WHOLE, kind, Level.INSUFFICIENT_DATA, seen.n, note=note)
    usual = None if reference is None else reference.value
    edge = limit(question, usual, allowed)
    if edge is None:
        note = "the reference has no outcomes, and no threshold is configured"
        return Verdict(name, WHOLE, kind, Level.NO_REFERENCE, seen.n, note=note)
    higher = question.better is Better.HIGHER
    margin = allowed.of(question.metric, edge if usual is None else usual)
    reach = math.hypot(
        seen.high - seen.value if higher else seen.value - seen.low,
        0.0 if question.threshold is not None else _reach(reference, higher=higher),
    )
    score = max((edge - seen.value if higher else seen.value - edge) - reach + margin, 0.0)
    effect = edge - seen.value if higher else seen.value - edge
    if not all(map(math.isfinite, (score, margin, effect))):
        return Verdict(
            name, WHOLE, kind, Level.ERROR, seen.n, note="the metric or its interval is not finite"
        )
    level = Level.BREACH if score > margin else Level.OK
    return Verdict(name, WHOLE, kind, level, seen.n, score, margin, effect=effect)


def _reach(reference: Estimate | None, *, higher: bool) -> float:
    """Return how much worse the reference may really be than it was measured; 0 if nothing is known."""
    if reference is None or reference.value is None or reference.low is None or reference.high is None:
        return 0.0
    return reference.value - reference.low if higher else reference.high - reference.value
