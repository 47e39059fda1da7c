"""Maximum mean discrepancy: how far apart two samples of rows are, all columns together."""

from collections.abc import Mapping

import numpy as np
from msgspec import Struct

from detectors.choices import enough, made
from detectors.encoding import SCALES, Encoder, Scale, pooled
from detectors.joint import Comparison, Joint, Option
from detectors.limits import count, one_of, size
from detectors.quadratic_form import QuadraticForm, spectrum
from detectors.table import Floats

QUADRATIC_ROWS = 1000
"""Up to so many rows of both samples together, every pair is compared; beyond, random features stand in."""
MEDIAN_ROWS = 1000
"""The median distance is that of at most so many rows."""
PRODUCTS_OF = 32
"""Products are taken of at most so many coordinates: 528 of them."""
FARTHEST_FACTOR = 1.5
"""Standard deviations at which the factors end: else a few far rows would make the products' law."""
PRODUCT_ROWS = 100
"""Of fewer rows on a side products are not taken: their sums are not normal enough."""
TINY = 1e-300
ALIKE = 1e-12
"""A smaller variance of the kernel is the rounding of rows that are all alike."""


class MmdOptions(Struct, frozen=True):
    """What `mmd` takes.

    Parameters
    ----------
    bandwidth
        The kernel's sigma in units of the scale, exp(-d**2 / (2 sigma**2)); 0 takes the median.
    features
        Random features, at least 2; an even number is used.
    products
        Whether the kernel has its second part: the products of each two coordinates.
    scale
        Of numeric columns: "ranks" (normal scores of the pooled ranks), "sd", or "none" for embeddings.

    """

    bandwidth: float = 0.0
    features: int = 500
    products: bool = True
    scale: Scale = "ranks"

    def __post_init__(self) -> None:
        size(bandwidth=(self.bandwidth, True))
        count(features=(self.features, 2))
        one_of("scale", self.scale, SCALES)


class Discrepancy(Struct, frozen=True, eq=False):
    """A squared distance of two means in the kernel's space, and its law without a change.

    squared: the biased statistic. spread: the variance of one row there. law: of `squared`, over all ways to
    deal the pooled rows to the two samples.
    """

    squared: float
    spread: float
    law: QuadraticForm


def mmd(
    reference: Joint, window: Joint, level: float, options: Mapping[str, Option], seed: int
) -> Comparison:
    """Compare rows by the maximum mean discrepancy: the distance of two mean points in a kernel's space.

    Finds any change of the joint distribution, of single columns as of how they go together. The kernel is
    exp(-d**2 / median), with d the distance of two rows (detectors/encoding.py) and the median of d**2, plus
    (x . y)**2 of the same coordinates cut off at 1.5 standard deviations, which gives the products of each
    two columns as much weight as all the rest: of 25 columns the first part alone hardly sees that two go
    together otherwise. Up to QUADRATIC_ROWS rows every pair is compared; beyond, random Fourier features
    stand in for the first part, so that the cost grows with the rows and not with their square: 0.3 s for
    2,000 rows of 25 columns on each side.

    The p-value is that of a permutation test: how probable it is that the pooled rows, dealt to the two
    samples at random, are as far apart. It is not counted in a few hundred permutations, where 1e-5 does not
    occur, but computed: over all permutations the squared distance is a sum of chi-squares, weighted by the
    eigenvalues of the pooled rows' covariance in the kernel's space.

    score: the squared distance less its mean over all permutations. effect: the distance, less that, in
    standard deviations of the rows in the kernel's space. The order of the rows matters only to the
    choice of those that the median is taken of. Options: MmdOptions.

    Examples
    --------
    Two columns whose correlation turns from 0.7 to -0.7 with the fifth window; neither changes by itself:

    >>> rng = np.random.default_rng(7)
    >>> def rows(n, r):
    ...     x, e = rng.normal(size=(2, n))
    ...     numbers = np.stack([x, r * x + (1 - r * r) ** 0.5 * e], axis=1)
    ...     return Joint(("x", "y"), numbers, np.empty((n, 0), np.int32))
    >>> reference = rows(2000, 0.7)
    >>> windows = [rows(500, 0.7 if place < 5 else -0.7) for place in range(8)]
    >>> found = [mmd(reference, window, 1e-4, {}, 0) for window in windows]
    >>> [one.score > one.threshold for one in found].index(True)
    5

    References
    ----------
    Gretton, A. et al. (2012). A kernel two-sample test. Journal of Machine Learning Research 13.
    Gretton, A. et al. (2009). A fast, consistent kernel two-sample test. NeurIPS.
    Rahimi, A., Recht, B. (2007). Random features for large-scale kernel machines. NeurIPS.

    """
    chosen = made(MmdOptions, "mmd", options)
    enough(reference, window)
    both = pooled(reference, window)
    points = Encoder.of(both, chosen.scale).points(both).rows
    return compared(*_discrepancy_of(points, reference.rows, chosen, np.random.default_rng(seed)), level)


def _discrepancy_of(
    points: Floats, first: int, chosen: MmdOptions, rng: np.random.Generator
) -> tuple[Discrepancy, str]:
    """Return how far the first points are from the others, and by what."""
    gamma = 1.0 / (2.0 * chosen.bandwidth**2) if chosen.bandwidth else 1.0 / median_square(points, rng)
    many = min(first, len(points) - first) >= PRODUCT_ROWS
    factors = clipped(points) if chosen.products and many else points[:, :0]
    if len(points) <= QUADRATIC_ROWS:
        kernel = gaussian(points, gamma)
        kernel = kernel + like(kernel, np.square(factors @ factors.T))
        return by_pairs(kernel, first), "every pair compared"
    features = random_features(points, gamma, chosen.features, rng)
    features = np.hstack([features, like_features(features, products(factors))])
    return by_features(features, first), "random features"


def compared(found: Discrepancy, note: str, level: float) -> Comparison:
    """Return what a discrepancy says at this level."""
    score = found.squared - found.law.mean
    threshold = max(found.law.quantile(level) - found.law.mean, 0.0)
    effect = float(np.sqrt(max(score, 0.0) / found.spread)) if found.spread else 0.0
    return Comparison(score, threshold, found.law.tail(found.squared), effect, note=note)


def squares(a: Floats, b: Floats) -> Floats:
    """Return the squared distance of each of a's rows to each of b's."""
    apart = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2.0 * a @ b.T
    return np.asarray(np.maximum(apart, 0.0))


def median_square(points: Floats, rng: np.random.Generator) -> float:
    """Return the median of the squared distances of two rows; the mean where most rows are alike, never 0."""
    some = (
        points if len(points) <= MEDIAN_ROWS else points[rng.choice(len(points), MEDIAN_ROWS, replace=False)]
    )
    apart = squares(some, some)[np.triu_indices(len(some), 1)]
    return float(np.median(apart)) or float(apart.mean()) or 1.0


def by_pairs(kernel: Floats, first: int) -> Discrepancy:
    """Compare the first rows with the others; kernel: [rows, rows], of every pair."""
    weights = dealt(first, len(kernel))
    values = np.linalg.eigvalsh(_centred(kernel)) / (len(kernel) - 1)
    return _discrepancy(float(weights @ kernel @ weights), values, first, len(kernel))


def _centred(kernel: Floats) -> Floats:
    """Return the kernel of the points less their mean."""
    rows = kernel.mean(axis=0)
    return np.asarray(kernel - rows - rows[:, None] + rows.mean())


def by_features(features: Floats, first: int) -> Discrepancy:
    """Compare the first rows with the others by their features, whose products stand for the kernel."""
    centred = features - features.mean(axis=0)
    apart = dealt(first, len(features)) @ centred
    return _discrepancy(float(apart @ apart), spectrum(centred), first, len(features))


def dealt(first: int, rows: int) -> Floats:
    """Return the weights whose product with rows is the mean of the first less the mean of the others."""
    others = rows - first
    return np.where(np.arange(rows) < first, 1.0 / first, -1.0 / others)


def _discrepancy(squared: float, values: Floats, first: int, rows: int) -> Discrepancy:
    spread = float(np.maximum(values, 0.0).sum())
    if spread <= ALIKE:
        return Discrepancy(0.0, 0.0, QuadraticForm(np.zeros(1)))
    law = QuadraticForm(np.maximum(values, 0.0) * (1.0 / first + 1.0 / (rows - first)))
    return Discrepancy(max(squared, 0.0), spread, law)


def random_features(points: Floats, gamma: float, count: int, rng: np.random.Generator) -> Floats:
    """Return [rows, count] features whose products are about exp(-gamma d**2)."""
    directions = rng.normal(scale=np.sqrt(2.0 * gamma), size=(points.shape[1], count // 2))
    angles = points @ directions
    return np.asarray(np.hstack([np.cos(angles), np.sin(angles)]) / np.sqrt(directions.shape[1]))


def gaussian(points: Floats, gamma: float) -> Floats:
    """Return exp(-gamma d**2) of every pair of points."""
    return np.asarray(np.exp(-gamma * squares(points, points)))


def clipped(points: Floats) -> Floats:
    """Return at most PRODUCTS_OF coordinates, the principal ones if there are more, without far outliers."""
    centred = points - points.mean(axis=0)
    if centred.shape[1] > PRODUCTS_OF:
        centred = centred @ np.linalg.eigh(centred.T @ centred)[1][:, -PRODUCTS_OF:]
    reach = FARTHEST_FACTOR * centred.std(axis=0)
    return np.asarray(np.clip(centred, -reach, reach))


def products(factors: Floats) -> Floats:
    """Return features whose products are the squared products of the rows: [rows, D (D + 1) / 2]."""
    left, right = np.triu_indices(factors.shape[1])
    return np.asarray(factors[:, left] * factors[:, right] * np.where(left == right, 1.0, np.sqrt(2.0)))


def like(kernel: Floats, other: Floats) -> Floats:
    """Return the other kernel scaled so that chance makes as much of it."""
    size = float(np.linalg.norm(_centred(other)))
    return other * (float(np.linalg.norm(_centred(kernel))) / size if size > TINY else 0.0)


def like_features(features: Floats, others: Floats) -> Floats:
    """Return the other features scaled as `like` does their kernel."""
    size, own = (float(np.linalg.norm(f.T @ f)) for f in (f - f.mean(axis=0) for f in (others, features)))
    return others * (np.sqrt(own / size) if size > TINY else 0.0)
