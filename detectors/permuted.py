"""The law of a statistic without drift, from what it was on permuted or redrawn rows."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from detectors.probability import chi2_limit, chi2_tail

LEAST = 30
"""Values below which three moments mean nothing."""
SKEWNESS = (0.05, 4.0)
"""Bounds of the law's skewness: nearly the normal law, and beyond the exponential one."""


class NullLaw(Struct, frozen=True):
    """Pearson's law of type III: a chi-square law, shifted and scaled. dof: that one's degrees of freedom."""

    mean: float
    spread: float
    dof: float

    def tail(self, score: float) -> float:
        """Return the probability that the statistic is above `score` without drift."""
        if self.spread == 0.0:
            return float(score <= self.mean)
        place = self.dof + (score - self.mean) / self.spread * np.sqrt(2 * self.dof)
        return float(chi2_tail(self.dof, max(0.0, place)))

    def limit(self, level: float) -> float:
        """Return what the statistic exceeds with probability `level` without drift."""
        if self.spread == 0.0:
            return self.mean
        place = float(chi2_limit(self.dof, level))
        return float(self.mean + self.spread * (place - self.dof) / np.sqrt(2 * self.dof))


def null_law(values: Sequence[float]) -> NullLaw:
    """Fit the law to statistics without drift by their mean, spread and skewness.

    A share of some hundred permutations says nothing of the levels that a budget of false alarms needs, a law
    does. The spread is taken a standard error too large, which errs to the side of silence.

    Raises ValueError for fewer than 30 values, or one that is not finite.

    Examples
    --------
    >>> law = null_law(np.random.default_rng(7).gamma(4.0, 1.0, 500))
    >>> round(law.limit(0.01), 1)
    9.7
    >>> round(law.tail(law.limit(1e-5)), 7), f"{law.tail(law.limit(1e-200)):.0e}"
    (1e-05, '1e-200')

    References
    ----------
    Gretton, A., Fukumizu, K., Harchaoui, Z., Sriperumbudur, B. K. (2009). A fast, consistent kernel
    two-sample test (the permutation null by its moments).

    """
    found = np.asarray(values, dtype=np.float64)
    if found.size < LEAST or not np.isfinite(found).all():
        raise ValueError(f"a null law needs at least {LEAST} finite values")
    mean, spread = float(found.mean()), float(found.std(ddof=1))
    if spread <= 1e-12 * max(1.0, abs(mean)):
        return NullLaw(mean, 0.0, 1.0)
    skewness = float(np.clip((((found - mean) / spread) ** 3).mean(), *SKEWNESS))
    return NullLaw(mean, spread * (1.0 + 1.0 / np.sqrt(2.0 * found.size)), 8.0 / skewness**2)
