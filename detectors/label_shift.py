"""Label shift: whether the classes come in other shares than in the reference, from predictions alone.

`prior_shift` compares the shares of the predicted classes. `estimated_shares` goes back from them to the true
classes' shares by black-box shift estimation: where the model errs as it did, the window's predicted shares
are the reference's confusion matrix times the true shares.
"""

import numpy as np
from msgspec import Struct

from detectors.distances import chi2, total_variation
from detectors.probability import chi2_quantile, chi2_tail, normal_quantile
from detectors.table import Counts, Floats, Table, shares

ILL_CONDITIONED = 1e-3
"""A least singular value of the confusion matrix below this tells two classes apart by chance only."""
LEAST_EXPECTED = 5.0
"""Expected rows of a class below which chi-square's law is not to be trusted: such classes go together."""


class PriorShift(Struct, frozen=True):
    """score: chi-square of the two rows of counts. effect: the share of the rows that changed the class."""

    score: float
    threshold: float
    pvalue: float
    effect: float


def prior_shift(reference: Counts, window: Counts, level: float) -> PriorShift:
    """Compare the predicted classes of a window with those of the reference: [K] rows of each class.

    Classes that expect fewer than five rows are taken together. ValueError: a sample without rows. It is a
    test of independent rows.

    Examples
    --------
    >>> found = prior_shift(np.array([800, 150, 50]), np.array([120, 60, 20]), 1e-3)
    >>> found.score > found.threshold, round(found.effect, 2)
    (True, 0.2)

    References
    ----------
    Pearson, K. (1900). On the criterion that a given system of deviations is such that it can be reasonably
    supposed to have arisen from random sampling. Philosophical Magazine 50.

    """
    if not (reference.sum() and window.sum()):
        raise ValueError("both samples need rows with a predicted class")
    p, q = _merged(reference, window)
    freedom = int(((p + q) > 0).sum()) - 1
    moved = float(total_variation(Table.of(reference, window)))
    if freedom < 1:
        return PriorShift(0.0, 0.0, 1.0, moved)
    score = float(chi2(Table.of(p, q)))
    return PriorShift(
        score, float(chi2_quantile(freedom, 1.0 - level)), float(chi2_tail(freedom, score)), moved
    )


def _merged(p: Counts, q: Counts) -> tuple[Counts, Counts]:
    """Return the counts with all classes together that expect too few rows in the smaller sample."""
    least = min(p.sum(), q.sum()) / (p.sum() + q.sum())
    rare = (p + q) * least < LEAST_EXPECTED
    if rare.sum() < 2:  # noqa: PLR2004 - one class has nothing to go with
        return p, q
    return tuple(np.append(c[~rare], c[rare].sum()) for c in (p, q))  # type: ignore[return-value]  # two of them


class Shares(Struct, frozen=True, eq=False):
    """What share of the window's rows each true class probably has, [K]; low, high: its interval."""

    value: Floats
    low: Floats
    high: Floats


def estimated_shares(confusion: Counts, window: Counts, level: float = 0.05) -> Shares:
    """Estimate the shares of the true classes in a window whose labels are not there yet (BBSE).

    confusion: [K, K], the reference's rows by (true class, predicted class). window: [K], the window's rows
    by predicted class. The assumption is label shift: rows of one class are predicted as they were, only the
    classes' shares are others. ValueError where the model does not tell the classes apart, or a class has no
    row in the reference. The interval is normal, by the delta method: the chance of the window's rows and of
    the reference's rows of each class.

    Examples
    --------
    A model that is right in 80 and 90 % of the rows of two classes; 30 % of the window are of the second:

    >>> found = estimated_shares(np.array([[800, 200], [50, 450]]), np.array([590, 410]))
    >>> found.value.round(2).tolist(), found.low.round(2).tolist(), found.high.round(2).tolist()
    ([0.7, 0.3], [0.6, 0.2], [0.8, 0.4])

    References
    ----------
    Lipton, Z. C., Wang, Y.-X., Smola, A. J. (2018). Detecting and correcting for label shift with black box
    predictors. ICML.

    """
    rows = confusion.sum(axis=1)
    if not (rows.all() and window.sum()):
        raise ValueError("each class needs rows in the reference, and the window rows with a prediction")
    rates = shares(confusion).T  # [predicted, true]: columns sum to 1
    if np.linalg.svd(rates, compute_uv=False)[-1] < ILL_CONDITIONED:
        raise ValueError("the model does not tell the classes apart: their shares cannot be estimated")
    seen = shares(window)
    back = np.linalg.inv(rates)
    value = _projected(back @ seen)
    noise = (np.diag(seen) - np.outer(seen, seen)) / window.sum()
    for place, share in enumerate(value.tolist()):
        rate = rates[:, place]
        noise += share * share * (np.diag(rate) - np.outer(rate, rate)) / rows[place]
    spread = np.sqrt(np.maximum(np.diag(back @ noise @ back.T), 0.0))
    reach = -float(normal_quantile(level / 2.0)) * spread
    return Shares(value, np.maximum(value - reach, 0.0), np.minimum(value + reach, 1.0))


def _projected(values: Floats) -> Floats:
    """Return the shares nearest to the values: not below 0, and 1 together (Euclid's projection)."""
    falling = -np.sort(-values)
    excess = (np.cumsum(falling) - 1.0) / np.arange(1.0, len(values) + 1.0)
    last = int(np.flatnonzero(falling > excess)[-1])
    return np.asarray(np.maximum(values - excess[last], 0.0))


def importance(confusion: Counts, found: Shares) -> Floats:
    """Return how much more a row of each true class weighs in the window than in the reference, [K]."""
    return np.asarray(found.value / shares(confusion.sum(axis=1)))
