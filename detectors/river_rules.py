"""The rules that river brings for streams of numbers: their parameters, checked, and what each is good for.

None of them knows a budget: how often one alarms on calm rows depends on the rows. Their rows are any finite
numbers; mapped to [0, 1] by detectors/pit.py, where a feature needs it, the parameters have one unit for all.
The examples go over 2,000 rows of calm and 1,000 rows of change. detectors/river_errors.py has the others.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from detectors.limits import count, share, size
from detectors.river_errors import ddm, eddm, fhddm, hddm_a, hddm_w
from detectors.river_streams import Choice, RiverStream


def adwin(
    *,
    delta: float = 0.002,
    clock: int = 32,
    max_buckets: int = 5,
    min_window_length: int = 5,
    grace_period: int = 10,
) -> RiverStream:
    """Adaptive windowing: the longest window whose two parts, cut anywhere, have the same mean.

    Finds changes of the mean of either direction, slow ones too, with a memory that grows with the logarithm
    of the rows. About 0.2 us per row.

    Parameters
    ----------
    delta
        Probability of a false alarm in one look at one window, in (0, 1); not a rate over time.
    clock
        Looks are taken every so many rows, at least 1.
    max_buckets
        Buckets of each size before two are merged, at least 2: more memory, finer cuts.
    min_window_length
        Rows that each part has at least, at least 1.
    grace_period
        Rows before the first look.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(7)
    >>> rows = np.concatenate([rng.normal(0.5, 0.1, 2000), rng.normal(0.6, 0.1, 1000)])
    >>> adwin().feed(rows).rows.tolist()
    [2111]

    References
    ----------
    Bifet, A., Gavalda, R. (2007). Learning from time-changing data with adaptive windowing. SDM.

    """
    share("delta", delta)
    count(clock=(clock, 1), max_buckets=(max_buckets, 2))
    count(min_window_length=(min_window_length, 1), grace_period=(grace_period, 0))
    given = {"delta": delta, "clock": clock, "max_buckets": max_buckets}
    given |= {"min_window_length": min_window_length, "grace_period": grace_period}
    return RiverStream(Choice("adwin", "ADWIN", given))


def page_hinkley(
    *,
    min_instances: int = 30,
    delta: float = 0.005,
    threshold: float = 50.0,
    alpha: float = 0.9999,
    mode: Literal["up", "down", "both"] = "both",
) -> RiverStream:
    """Page and Hinkley's cumulative sum: what the rows exceed their own mean by, added up.

    Finds abrupt changes of the mean of a known unit. About 0.6 us per row.

    Parameters
    ----------
    min_instances
        Rows before the first alarm, at least 1.
    delta
        The change that is tolerated, in the values' unit, at least 0.
    threshold
        The sum that is an alarm, in the values' unit times rows, above 0.
    alpha
        What is left of the sum after each row, in (0, 1].
    mode
        Which change is an alarm: of the mean upwards, downwards, or both.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(7)
    >>> rows = np.concatenate([rng.normal(0.5, 0.1, 2000), rng.normal(0.6, 0.1, 1000)])
    >>> page_hinkley(threshold=10.0).feed(rows).rows.tolist()
    [2071]

    References
    ----------
    Page, E. S. (1954). Continuous inspection schemes. Biometrika 41(1/2).

    """
    count(min_instances=(min_instances, 1))
    size(delta=(delta, True), threshold=(threshold, False))
    if alpha != 1:
        share("alpha", alpha)
    if mode not in {"up", "down", "both"}:
        raise ValueError(f"mode is {mode!r}: it must be up, down or both")
    given: dict[str, object] = {"min_instances": min_instances, "delta": delta, "threshold": threshold}
    given |= {"alpha": alpha, "mode": mode}
    return RiverStream(Choice("page_hinkley", "PageHinkley", given))


def kswin(*, alpha: float = 0.005, window_size: int = 100, stat_size: int = 30, seed: int = 0) -> RiverStream:
    """Kolmogorov-Smirnov windowing: the last rows against some drawn of those before them.

    Finds changes of any kind, but tests on every row: with its own alpha it alarms on calm rows again and
    again. About 200 us per row, a thousand times as much as the others.

    Parameters
    ----------
    alpha
        The p-value that is an alarm, in (0, 1).
    window_size
        Rows that are remembered; at least twice stat_size.
    stat_size
        Rows on each side of the test, at least 1.
    seed
        Of the drawing, so that a replay finds the same (river's own default draws differently each time).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(7)
    >>> rows = np.concatenate([rng.normal(0.5, 0.1, 2000), rng.normal(0.6, 0.1, 1000)])
    >>> kswin(alpha=0.001).feed(rows).rows.tolist()
    [2029]

    References
    ----------
    Raab, C., Heusinger, M., Schleif, F.-M. (2020). Reactive soft prototype computing for concept drift
    streams. Neurocomputing 416.

    """
    share("alpha", alpha)
    count(stat_size=(stat_size, 1), window_size=(window_size, 2 * stat_size), seed=(seed, 0))
    given = {"alpha": alpha, "window_size": window_size, "stat_size": stat_size, "seed": seed}
    return RiverStream(Choice("kswin", "KSWIN", given))


RIVER: Mapping[str, Callable[..., RiverStream]] = MappingProxyType(
    {make.__name__: make for make in (adwin, page_hinkley, kswin, ddm, eddm, hddm_a, hddm_w, fhddm)}
)
"""What makes each of river's streams from its parameters."""
