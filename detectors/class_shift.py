"""Verdicts on label shift: whether a window's predicted classes betray other shares of the true ones."""

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec.structs import replace

from detectors.base import ClassShare, Level, Verdict
from detectors.beside import Classes
from detectors.label_shift import Shares, estimated_shares, prior_shift
from detectors.monitors import NOTE, Judgement, MonitorSpec, judged, unjudged
from detectors.profile import WindowProfile
from detectors.quality import ALONE, Cluster
from detectors.table import Floats, shares

LABEL_SHIFT = "label_shift"
PREDICTION = "prediction"
"""What the verdict is on, also where a score decides the class."""
RISK = 0.05
"""Of the intervals in the note: to be read, not judged by."""


def worst_cluster(clusters: Mapping[str, Cluster], columns: Sequence[str]) -> Cluster:
    """Return how many rows tell as much as one independent row where they go together most."""
    found = [clusters.get(name, (1.0, 1.0)) for name in columns]
    return max((a for a, _ in found), default=1.0), max((b for _, b in found), default=1.0)


class LabelShift:
    """Judges the shares of the classes, as the predictions betray them (black-box shift estimation).

    While each class is predicted as it was in the reference, the predicted classes have the reference's
    shares exactly where the true ones have. So the test is chi-square of the predicted classes, and the
    effect what is estimated of the true ones: the largest change of a share, in standard deviations of a
    row's being of that class. An effect below `min_effect` is no breach: its score is the threshold at most.
    Rows that go together count as fewer rows.

    Parameters
    ----------
    monitors
        One verdict each, in this order.
    alarms
        The level, the smallest effect and the fewest rows, of the window and of the reference.

    Examples
    --------
    A model that is right in 80 and 90 % of the rows of two classes. The second is a third of the reference,
    and 40 % of the rows from the sixth window on:

    >>> from detectors.profile import Grid, empty
    >>> rng, rates = np.random.default_rng(1), np.array([[0.8, 0.2], [0.1, 0.9]])
    >>> shift = LabelShift([MonitorSpec("prediction", "label_shift", "prediction_drift")], Judgement(1e-4))
    >>> nothing, found = empty(Grid(())), []
    >>> for part in [0.33] * 5 + [0.4] * 3:
    ...     predicted = sum(rng.multinomial(5000 * s, r) for s, r in zip((1 - part, part), rates))
    ...     known = Classes(("no", "yes"), (), rates * [[6700], [3300]], predicted)
    ...     found += shift.close(WindowProfile(Grid(()), nothing, nothing, classes=known))
    >>> [one.level.value for one in found].index("breach")
    5
    >>> found[5].note
    'shares of the true classes: no 0.618 (0.596 to 0.64; was 0.67), yes 0.382 (0.36 to 0.404; was 0.33)'

    References
    ----------
    Lipton, Z. C., Wang, Y.-X., Smola, A. J. (2018). Detecting and correcting for label shift with black box
    predictors. ICML.

    """

    def __init__(self, monitors: Sequence[MonitorSpec], alarms: Judgement) -> None:
        self._monitors = tuple(monitors)
        self._alarms = alarms

    def close(self, window: WindowProfile, clusters: Mapping[str, Cluster] = ALONE) -> list[Verdict]:
        """Judge a closed window. clusters: see `Quality.close`."""
        return [self._verdict(spec, window, clusters) for spec in self._monitors]

    def _verdict(self, spec: MonitorSpec, window: WindowProfile, clusters: Mapping[str, Cluster]) -> Verdict:
        classes = window.classes
        if classes is None or not classes.confusion.sum():
            note = "the reference has no outcomes of this group"
            return unjudged(spec, Level.NO_REFERENCE, window.window.rows, note)
        n, m = int(classes.predicted.sum()), int(classes.confusion.sum())
        if min(n, m) < self._alarms.min_rows:
            note = f"{n} rows with a class in the window, {m} with an outcome in the reference"
            return unjudged(spec, Level.INSUFFICIENT_DATA, n, note)
        try:
            return self._judged(spec, classes, worst_cluster(clusters, classes.columns))
        except ValueError as error:
            return unjudged(spec, Level.NO_REFERENCE, n, str(error))

    def _judged(self, spec: MonitorSpec, classes: Classes, cluster: Cluster) -> Verdict:
        predicted, confusion = classes.predicted / cluster[0], classes.confusion / cluster[1]
        test = prior_shift(confusion.sum(axis=0), predicted, self._alarms.level)
        found = estimated_shares(confusion, predicted, RISK)
        usual = shares(confusion.sum(axis=1))
        moved = np.abs(found.value - usual) / np.sqrt(usual * (1.0 - usual))
        threshold = test.threshold if spec.threshold is None else spec.threshold
        small = float(moved.max()) < self._alarms.min_effect
        score = min(test.score, threshold) if small else test.score
        n = int(classes.predicted.sum())
        verdict = judged(spec, n, (score, threshold), float(moved.max()), test.pvalue)
        each = _shares(classes.names, found, usual)
        note = verdict.note or _note([each[place] for place in np.argsort(-moved, kind="stable")])
        return replace(verdict, note=note, classes=each)


def _shares(names: Sequence[str], found: Shares, usual: Floats) -> tuple[ClassShare, ...]:
    columns = (part.tolist() for part in (found.value, found.low, found.high, usual))
    return tuple(ClassShare(*each) for each in zip(names, *columns, strict=True))


def _note(shares_of: Sequence[ClassShare]) -> str:
    """Say what the true shares probably are, as many of them as there is room for."""
    said = "shares of the true classes"
    for place, one in enumerate(shares_of):
        longer = f"{said}{',' if place else ':'} {one.name} {share_text(one)}"
        if len(longer) > NOTE:
            break
        said = longer
    return said


def share_text(one: ClassShare) -> str:
    """Write a class's share for people.

    >>> share_text(ClassShare("fraud", 0.03, 0.027, 0.033, 0.01))
    '0.03 (0.027 to 0.033; was 0.01)'
    """
    return f"{one.value:.3g} ({one.low:.3g} to {one.high:.3g}; was {one.usual:.3g})"
