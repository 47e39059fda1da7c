"""The level at which a multivariate detector is asked, where windows differ by more than chance among rows.

A detector's p-value takes rows for independent. Rows of one window are often more alike than that: then the
reference's own windows have small p-values too. How small they are tells how small one must be to be news.
"""

import numpy as np
from msgspec import Struct

from detectors.probability import normal_cdf, normal_quantile, student_quantile
from detectors.table import Floats

LEAST_WINDOWS = 7
"""Of fewer windows of the reference nothing is learnt; of so few, that only far smaller p-values are news."""
SMALLEST = 1e-300


class Strictness(Struct, frozen=True):
    """How strictly a detector is asked: at `wished`, given the p-values of the reference's own windows."""

    wished: float
    pvalues: tuple[float, ...] = ()
    windows: int = 0

    @property
    def level(self) -> float:
        """The level at which it is asked; see `window_level`."""
        return window_level(np.array(self.pvalues), self.wished, self.windows)


def window_level(pvalues: Floats, level: float, windows: int) -> float:
    """Return the p-value that a window without drift falls below with probability `level`.

    The p-values are turned into deviates of a normal law; a new window's is taken to be one more draw of the
    same normal law with unknown mean and spread, so its limit is a quantile of Student's t. A reference is in
    part made of each of its windows, which brings them nearer to it; that is taken back. 0 where windows
    differ so much that no p-value is small enough to be news: doubles end at 1e-308.

    Parameters
    ----------
    pvalues
        float64 [R] in 0..1, of R windows of the reference against the whole reference.
    level
        The probability to fall below, in (0, 0.5]. What is returned is never larger.
    windows
        How many windows the reference has in all, R or more.

    Examples
    --------
    >>> calm, tied = np.random.default_rng(1).random(60), np.random.default_rng(1).random(60) ** 4
    >>> f"{window_level(calm, 1e-3, 300):.0e}", f"{window_level(tied, 1e-3, 300):.0e}"
    ('1e-03', '1e-10')
    >>> f"{window_level(calm[:10], 1e-3, 300):.0e}", window_level(calm[:6], 1e-3, 300)
    ('2e-07', 0.001)
    >>> window_level(calm**300, 1e-3, 300)
    0.0

    References
    ----------
    Geisser, S. (1993). Predictive Inference: An Introduction. Chapman & Hall, section 2.2.

    """
    count = len(pvalues)
    if count < LEAST_WINDOWS:
        return level
    deviates = -normal_quantile(np.clip(pvalues, SMALLEST, 1.0 - 1e-12))
    spread = float(deviates.std(ddof=1)) * np.sqrt(1.0 + 1.0 / count)
    limit = float(deviates.mean()) + spread * float(student_quantile(count - 1, level))
    found = min(level, float(normal_cdf(-limit * windows / max(windows - 1, 1))))
    return found if found > SMALLEST else 0.0
