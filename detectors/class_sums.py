"""What is counted of classified rows: the layout of the sums, and the counting.

Two classes have one histogram of scores, that of class 1; more have one for each class against the rest.
Bin b of a histogram holds scores from b/1000 up to (b + 1)/1000, the last one 1.0 too. Scores outside
[0, 1] count as its ends. Only rows whose scores are all finite are in what rests on scores.
"""

from collections.abc import Iterator

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.measure import Floats, Ints, Scored

BINS = 1000
ECE_BINS = 15
LEAST = float(np.finfo(np.float64).eps)
"""A probability below this counts as this in the log loss, as in scikit-learn (2.2e-16)."""
DECISION = 0.5
BINARY = 2
TOTALS = 5
SLAB = 1 << 16
"""Rows counted at once: few enough for what is worked out of them to stay in the processor's cache."""

Flags = NDArray[np.bool_]


def histograms(classes: int) -> int:
    """Return how many histograms there are of the scores: one for two classes, else one for each."""
    return 1 if classes == BINARY else classes


class ClassSums(Struct, frozen=True, eq=False):
    """The sums of labelled rows, named; the arrays are views of the vector.

    confusion: [C + 1, C + 1] rows by true and predicted class, last any other class or none.
    labelled: [H, 2 label is k, 2 predicted is k, BINS] rows with scores, by the score of k.
    top_counts: [ECE_BINS, 2] rows with scores by top score (binary: score of class 1) and whether it was
    a hit (binary: whether the label is 1); top_scores: [ECE_BINS] sums of that score.
    scored: rows with scores. log_loss, brier: sums over these rows, and of the squares.
    """

    confusion: Floats
    labelled: Floats
    top_counts: Floats
    top_scores: Floats
    scored: float
    log_loss: float
    log_loss_squares: float
    brier: float
    brier_squares: float

    @classmethod
    def of(cls, vector: Floats, classes: int) -> "ClassSums":
        """Name the parts of a vector of sums; of a task without scores, those of the scores are 0."""
        full = np.zeros(labelled_width(classes, scored=True)) if vector.size == (classes + 1) ** 2 else vector
        if full is not vector:
            full[: vector.size] = vector
        ends = np.cumsum([(classes + 1) ** 2, histograms(classes) * 4 * BINS, ECE_BINS * 2, ECE_BINS])
        table, labelled, counts, scores, totals = np.split(full, ends)
        return cls(
            table.reshape(classes + 1, classes + 1),
            labelled.reshape(histograms(classes), 2, 2, BINS),
            counts.reshape(ECE_BINS, 2),
            scores,
            *(float(total) for total in totals),
        )


class OpenSums(Struct, frozen=True, eq=False):
    """The sums of predictions whatever their labels; the arrays are views of the vector.

    n: rows. predicted: [C + 1] rows by predicted class, last any other or none.
    open: [H, 2 predicted is k, BINS] rows with scores, by the score of k.
    """

    n: float
    predicted: Floats
    open: Floats

    @classmethod
    def of(cls, vector: Floats, classes: int) -> "OpenSums":
        """Name the parts of a vector of open sums; of a task without scores, the histograms are 0."""
        shape = (histograms(classes), 2, BINS)
        scores = vector[classes + 2 :]
        histogram = scores.reshape(shape) if scores.size else np.zeros(shape)
        return cls(float(vector[0]), vector[1 : classes + 2], histogram)


def labelled_width(classes: int, *, scored: bool) -> int:
    """Return the length of a vector of sums of labelled rows."""
    table = (classes + 1) ** 2
    return table + (histograms(classes) * 4 * BINS + ECE_BINS * 3 + TOTALS if scored else 0)


def open_width(classes: int, *, scored: bool) -> int:
    """Return the length of a vector of sums of predictions."""
    return classes + 2 + (histograms(classes) * 2 * BINS if scored else 0)


class Counting(Struct, frozen=True):
    """How rows are counted. threshold: of the score, decides over the prediction (two classes); or None."""

    classes: int
    scored: bool
    threshold: float | None = None

    def labelled(self, rows: Scored, groups: Ints, count: int) -> Floats:
        """Count rows by group: float64 [count, labelled_width]; rows without a label are left out."""
        sums = np.zeros((count, labelled_width(self.classes, scored=self.scored)))
        for part, own in _slabs(rows, groups, max(SLAB, sums.size)):
            sums += self._labelled(part, own, count)
        return sums

    def _labelled(self, rows: Scored, groups: Ints, count: int) -> Floats:
        known = ~np.isnan(rows.label)
        if not known.all():
            rows, groups = rows.take(known), groups[known]
        scores, usable = self._scores(rows)
        label, predicted = _codes(rows.label, self.classes), self._predicted(rows, scores, usable)
        size = self.classes + 1
        table = _count((groups * size + label) * size + predicted, count, size * size)
        if self.scored:
            if not usable.all():
                groups, label, predicted = groups[usable], label[usable], predicted[usable]
                scores = scores[usable]
            of_scores = self._of_scores((groups, label, predicted), scores, count)
            return np.concatenate([table, of_scores], axis=1)
        return table

    def open(self, rows: Scored, groups: Ints, count: int) -> Floats:
        """Count predictions by group: float64 [count, open_width]."""
        sums = np.zeros((count, open_width(self.classes, scored=self.scored)))
        for part, own in _slabs(rows, groups, max(SLAB, sums.size)):
            sums += self._open(part, own, count)
        return sums

    def _open(self, rows: Scored, groups: Ints, count: int) -> Floats:
        scores, usable = self._scores(rows)
        predicted = self._predicted(rows, scores, usable)
        size = self.classes + 1
        by_class = _count(groups * size + predicted, count, size)
        parts = [by_class.sum(axis=1, keepdims=True), by_class]
        if self.scored:
            if not usable.all():
                groups, predicted, scores = groups[usable], predicted[usable], scores[usable]
            for k, score in self._by_class(scores):
                cell = groups * 2 + (predicted == k)
                parts.append(_count(cell * BINS + _bins(score, BINS), count, 2 * BINS))
        return np.concatenate(parts, axis=1)

    def errors(self, rows: Scored) -> Floats:
        """Return of each row 1 where the class is wrong, else 0: float64 [n], NaN without a label."""
        predicted = self._predicted(rows, *self._scores(rows))
        wrong = (predicted != _codes(rows.label, self.classes)).astype(np.float64)
        return np.where(np.isnan(rows.label), np.nan, wrong)

    def doubts(self, rows: Scored) -> Floats:
        """Return of each row the probability that was not given to its class: float64 [n] in [0, 1].

        NaN without a label or a score.
        """
        scores, usable = self._scores(rows)
        doubts = np.full(len(rows.label), np.nan)
        usable &= np.isfinite(rows.label)
        label = _codes(rows.label[usable], self.classes)
        doubts[usable] = 1.0 - _of_truth(scores[usable], label)
        return doubts

    def _scores(self, rows: Scored) -> tuple[Floats, Flags]:
        """Return the scores within [0, 1], [n, H], and which rows have them all."""
        width = histograms(self.classes) if self.scored else 0
        if width == 0 or rows.scores.shape[1] == 0:
            return np.zeros((len(rows.label), width)), np.zeros(len(rows.label), dtype=np.bool_)
        if rows.scores.shape[1] != width:
            raise ValueError(f"{rows.scores.shape[1]} scores a row where {width} are due")
        usable = np.isfinite(rows.scores)
        return np.clip(rows.scores, 0.0, 1.0), np.asarray(usable[:, 0] if width == 1 else usable.all(axis=1))

    def _predicted(self, rows: Scored, scores: Floats, usable: Flags) -> Ints:
        decided = usable if self.threshold is not None else usable & np.isnan(rows.prediction)
        if self.classes == BINARY and len(decided) and decided.all():
            return self._by_threshold(scores)
        given = _codes(rows.prediction, self.classes)
        if not decided.any():
            return given
        if self.classes == BINARY:
            return np.where(decided, self._by_threshold(scores), given)
        given[decided] = np.argmax(scores[decided], axis=1)
        return given

    def _by_threshold(self, scores: Floats) -> Ints:
        threshold = DECISION if self.threshold is None else self.threshold
        return (scores[:, 0] >= threshold).astype(np.int64)

    def _by_class(self, scores: Floats) -> list[tuple[int, Floats]]:
        if self.classes == BINARY:
            return [(1, scores[:, 0])]
        return [(k, scores[:, k]) for k in range(self.classes)]

    def _of_scores(self, codes: tuple[Ints, Ints, Ints], scores: Floats, count: int) -> Floats:
        """Sum up rows with scores [n, H]; codes: their groups, labels and predicted classes."""
        groups, label, predicted = codes
        parts = []
        for k, score in self._by_class(scores):
            cell = groups * 4 + (label == k) * 2 + (predicted == k)
            parts.append(_count(cell * BINS + _bins(score, BINS), count, 4 * BINS))
        top, hit = _top(scores, label)
        cell = groups * ECE_BINS + _bins(top, ECE_BINS)
        parts += [_count(cell * 2 + hit, count, ECE_BINS * 2), _sum(cell, top, count, ECE_BINS)]
        parts.append(_count(groups, count, 1))
        for loss in _losses(scores, label):
            parts += [_sum(groups, loss, count, 1), _sum(groups, loss * loss, count, 1)]
        return np.concatenate(parts, axis=1)


def _slabs(rows: Scored, groups: Ints, step: int) -> Iterator[tuple[Scored, Ints]]:
    """Yield rows and their groups, `step` of them at a time."""
    for start in range(0, len(rows.label), step):
        slab = slice(start, start + step)
        yield Scored(rows.prediction[slab], rows.scores[slab], rows.label[slab]), groups[slab]


def _codes(values: Floats, classes: int) -> Ints:
    """Return class codes; what is no class, or missing, becomes the code after the last."""
    return np.where((values >= 0) & (values < classes), values, classes).astype(np.int64)


def _bins(scores: Floats, bins: int) -> Ints:
    return np.minimum((scores * bins).astype(np.int64), bins - 1)


def _count(cells: Ints, count: int, width: int) -> Floats:
    return np.bincount(cells, minlength=count * width).reshape(count, width).astype(np.float64)


def _sum(cells: Ints, weights: Floats, count: int, width: int) -> Floats:
    return np.asarray(np.bincount(cells, weights, minlength=count * width).reshape(count, width), np.float64)


def _top(scores: Floats, label: Ints) -> tuple[Floats, Flags]:
    """Return the score to be calibrated of each row, and whether what it is a probability of happened."""
    if scores.shape[1] == 1:
        return scores[:, 0], label == 1
    return scores.max(axis=1), scores.argmax(axis=1) == label


def _losses(scores: Floats, label: Ints) -> tuple[Floats, Floats]:
    """Return each row's log loss and Brier score.

    Two classes: a label that is neither counts as not class 1. More: one that is none had probability 0.
    """
    of_truth = _of_truth(scores, label)
    if scores.shape[1] == 1:
        brier = np.square(1.0 - of_truth)
    else:
        brier = np.square(scores).sum(axis=1) - 2.0 * of_truth + 1.0
    return -np.log(np.maximum(of_truth, LEAST)), brier


def _of_truth(scores: Floats, label: Ints) -> Floats:
    """Return the probability that each row's class was given."""
    if scores.shape[1] == 1:
        return np.where(label == 1, scores[:, 0], 1.0 - scores[:, 0])
    known = label < scores.shape[1]
    chosen = np.where(known, label, 0)[:, None]
    return np.where(known, np.take_along_axis(scores, chosen, axis=1)[:, 0], 0.0)
