"""The upper quantile of a simulated statistic, also where it is rarer than the simulation reached."""

import numpy as np

from detectors.table import Floats

EXCEEDANCES_NEEDED = 20
TAIL_SHARE = 0.1


def upper_quantile(scores: Floats, level: float, power: float = 1.0) -> float:
    """Return the value that `scores` exceed with probability `level`, or less where they are tied.

    Where at least 20 of the scores lie above it, it is their empirical quantile. Further out, the excess
    over the 90 % quantile is taken as generalised Pareto (Pickands), fitted by probability-weighted
    moments. A shape below 0 is set to 0, since a tail that ends could only make the threshold too low, and
    the scale is then taken one standard error higher, for it carries the whole extrapolation.

    Parameters
    ----------
    scores
        float64 [R], the statistic of R simulated pairs without drift.
    level
        The probability to exceed, in (0, 1).
    power
        The tail is fitted to scores**power. A distance like Kolmogorov-Smirnov's has a Gaussian tail, so
        its square has the exponential one from which the fit starts.

    Examples
    --------
    >>> draws = np.random.default_rng(3).exponential(size=2000)
    >>> round(upper_quantile(draws, 0.05), 1), round(float(-np.log(0.05)), 1)
    (3.0, 3.0)
    >>> round(upper_quantile(draws, 1e-4), 0), round(float(-np.log(1e-4)), 0)
    (10.0, 9.0)

    References
    ----------
    Pickands, J. (1975). Statistical inference using extreme order statistics. Annals of Statistics 3(1).
    Hosking, J. R. M., Wallis, J. R. (1987). Parameter and quantile estimation for the generalized Pareto
    distribution. Technometrics 29(3).

    """
    if level * len(scores) >= EXCEEDANCES_NEEDED:
        return float(np.quantile(scores, 1.0 - level, method="higher"))
    raised = scores**power
    start = float(np.quantile(raised, 1.0 - TAIL_SHARE, method="higher"))
    excess = np.sort(raised[raised > start]) - start
    if not len(excess):
        return float(start ** (1.0 / power))
    shape, scale = pareto_fit(excess)
    rarer = level * len(scores) / len(excess)
    distance = (rarer**-shape - 1.0) / shape if shape > 0 else -np.log(rarer)
    return float((start + scale * max(distance, 0.0)) ** (1.0 / power))


def pareto_fit(excess: Floats) -> tuple[float, float]:
    """Return shape (0 or more) and scale of a generalised Pareto law; `excess` is ascending, above 0.

    Examples
    --------
    >>> shape, scale = pareto_fit(np.sort(np.random.default_rng(0).pareto(4.0, size=5000)))
    >>> round(shape, 2), round(scale, 2)  # the law's are 0.25 and 0.25
    (0.27, 0.25)

    """
    count = len(excess)
    mean = float(excess.mean())
    weights = 1.0 - (np.arange(1, count + 1) - 0.35) / count
    weighted = float((excess * weights).mean())
    gap = mean - 2.0 * weighted
    shape = 2.0 - mean / gap if gap > 0 else 0.0
    if shape <= 0:
        return 0.0, mean * (1.0 + 1.0 / float(np.sqrt(count)))
    return shape, 2.0 * mean * weighted / gap
