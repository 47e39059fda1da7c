"""Principal components of the reference: how badly they rebuild the rows of a window."""

from collections.abc import Mapping

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.choices import LEAST_ROWS, enough, made
from detectors.encoding import SCALES, Encoder, Scale, lacks, part
from detectors.joint import Comparison, Joint, Option
from detectors.limits import one_of, share
from detectors.permutation_mean import DealtMean
from detectors.table import Floats

TINY = 1e-12
"""An error so small, in units of the scale, is the rounding of the arithmetic."""


class PcaOptions(Struct, frozen=True):
    """What `pca_reconstruction` takes.

    Parameters
    ----------
    explained
        The share of the variance that the components hold together, in (0, 1).
    scale
        Of numeric columns: "ranks" (normal scores of the reference's ranks), "sd", or "none" for embeddings.

    """

    explained: float = 0.8
    scale: Scale = "ranks"

    def __post_init__(self) -> None:
        share("explained", self.explained)
        one_of("scale", self.scale, SCALES)


class Components(Struct, frozen=True, eq=False):
    """The middle of some points [D] and the directions [C, D] in which they vary most."""

    middle: Floats
    directions: Floats

    @classmethod
    def of(cls, points: Floats, explained: float) -> "Components":
        """Return as few directions as hold that share of the points' variance."""
        middle = points.mean(axis=0)
        _, sizes, directions = np.linalg.svd(points - middle, full_matrices=False)
        held = np.cumsum(np.square(sizes))
        return cls(middle, directions[: int(np.searchsorted(held, explained * held[-1])) + 1])

    def residuals(self, points: Floats) -> Floats:
        """Return what the directions leave of each point, [rows, D]."""
        apart = points - self.middle
        return np.asarray(apart - (apart @ self.directions.T) @ self.directions)


def pca_reconstruction(
    reference: Joint, window: Joint, level: float, options: Mapping[str, Option], seed: int
) -> Comparison:
    """Compare how far rows are from the plane of the reference's principal components.

    Half of the reference's rows, drawn by the seed, say which components hold 80 % of the variance; the
    other half, on which they were not fitted, says how large errors are without a change. Finds columns that
    leave the linear relations they had; a change within the plane, and one of columns that never went
    together, are for `mmd` and `domain_classifier`. About 10 ms for 2,000 rows of 25 columns on each side.

    score: how far the window's mean error is from the other half's, in standard deviations of the errors of
    both. Smaller errors are a change too (columns that now go together), so the p-value is two-sided: the
    share of the ways to deal the errors to two samples of these sizes that are as far on either side, by the
    saddlepoint approximation. effect: the score. parts: the columns' shares in the change of the mean squared
    error. Options: PcaOptions.

    Examples
    --------
    Three columns that follow one cause; from the fifth window on the third goes its own way:

    >>> rng = np.random.default_rng(3)
    >>> def rows(n, apart=False):
    ...     cause, other = rng.normal(size=(2, n, 1))
    ...     numbers = cause + 0.4 * rng.normal(size=(n, 3))
    ...     numbers[:, 2:] = other if apart else numbers[:, 2:]
    ...     return Joint(("x", "y", "z"), numbers, np.empty((n, 0), np.int32))
    >>> reference = rows(2000)
    >>> windows = [rows(300, place >= 5) for place in range(8)]
    >>> found = [pca_reconstruction(reference, window, 1e-4, {}, 0) for window in windows]
    >>> [one.score > one.threshold for one in found].index(True)
    5

    References
    ----------
    Kuncheva, L. I., Faithfull, W. J. (2014). PCA feature extraction for change detection in multidimensional
    unlabeled data. IEEE Transactions on Neural Networks and Learning Systems 25(1).

    """
    chosen = made(PcaOptions, "pca_reconstruction", options)
    enough(reference, window, (2 * LEAST_ROWS, LEAST_ROWS))
    order = np.random.default_rng(seed).permutation(reference.rows)
    learnt, held = np.array_split(order, 2)
    encoder = Encoder.of(part(reference, learnt), chosen.scale, lacks(reference) | lacks(window))
    components = Components.of(encoder.points(part(reference, learnt)).rows, chosen.explained)
    points = encoder.points(window)
    usual = np.square(components.residuals(encoder.points(part(reference, held)).rows))
    seen = np.square(components.residuals(points.rows))
    parts = _parts(seen.mean(axis=0) - usual.mean(axis=0), points.owner, window.columns)
    errors = (np.sqrt(usual.sum(axis=1)), np.sqrt(seen.sum(axis=1)))
    return _judged(*errors, level, parts, len(components.directions))


def _judged(
    usual: Floats, seen: Floats, level: float, parts: tuple[tuple[str, float], ...], components: int
) -> Comparison:
    """Return what the errors of the held rows and of the window's say."""
    both = np.concatenate([usual, seen])
    middle, unit = float(both.mean()), float(both.std())
    held = f"{components} components"
    if unit <= TINY * max(1.0, middle):
        return Comparison(0.0, 0.0, 1.0, 0.0, note=f"{held}, the same error of every row")
    apart = float(seen.mean()) - float(usual.mean())
    side = 1.0 if apart >= 0.0 else -1.0
    law = DealtMean(side * both, len(seen))
    rest = len(usual) / len(both)  # of the distance of the two means lies between the window's and all rows'
    score = abs(apart) / unit
    threshold = max(law.quantile(level / 2.0) / (rest * unit), 0.0)
    pvalue = min(2.0 * law.tail(abs(apart) * rest), 1.0)
    return Comparison(
        score, threshold, pvalue, score, parts, f"{held}, errors {'larger' if side > 0 else 'smaller'}"
    )


def _parts(
    change: Floats, owner: NDArray[np.int64], columns: tuple[str, ...]
) -> tuple[tuple[str, float], ...]:
    """Return each column's share in the change of the mean squared error, the largest first."""
    sizes = np.abs(np.bincount(owner, weights=change, minlength=len(columns)))
    if not (total := float(sizes.sum())):
        return ()
    order = np.argsort(-sizes, kind="stable")
    return tuple((columns[place], float(sizes[place]) / total) for place in order.tolist())
