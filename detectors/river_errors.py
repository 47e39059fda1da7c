"""The rules that river brings for errors: rows are 0 (right) or 1 (wrong), and nothing else.

None of them knows a budget: how often one alarms on calm rows depends on the rate of errors. The examples go
over 2,000 rows with a tenth of errors, and 1,000 rows with three tenths. Unless it says otherwise a rule
looks for more errors, not for fewer. detectors/river_rules.py lists these with the others.
"""

from detectors.limits import count, ordered, share, size
from detectors.river_streams import Choice, RiverStream


def ddm(*, warm_start: int = 30, warning_threshold: float = 2.0, drift_threshold: float = 3.0) -> RiverStream:
    """Drift detection method: the rate of errors since the start against the lowest that it was.

    Finds abrupt and large changes; the longer the calm, the later. Where errors are rarer than one in
    warm_start rows, the first error is an alarm. About 0.5 us per row.

    Parameters
    ----------
    warm_start
        Rows before the first look, at least 1.
    warning_threshold, drift_threshold
        How far above the lowest rate is a warning and an alarm, in standard errors of that rate, above 0.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(7)
    >>> rows = (rng.random(3000) < np.repeat([0.1, 0.3], [2000, 1000])).astype(float)
    >>> ddm().feed(rows).rows.tolist()
    [2226]

    References
    ----------
    Gama, J., Medas, P., Castillo, G., Rodrigues, P. (2004). Learning with drift detection. SBIA.

    """
    count(warm_start=(warm_start, 1))
    size(warning_threshold=(warning_threshold, False), drift_threshold=(drift_threshold, False))
    ordered(("warning_threshold", warning_threshold), ("drift_threshold", drift_threshold))
    given = {
        "warm_start": warm_start,
        "warning_threshold": warning_threshold,
        "drift_threshold": drift_threshold,
    }
    return RiverStream(Choice("ddm", "DDM", given, errors=True))


def eddm(*, warm_start: int = 30, alpha: float = 0.95, beta: float = 0.9) -> RiverStream:
    """Early drift detection method: the rows between two errors against the most that they were.

    Meant for slow changes. It alarms often on calm rows, since the largest distance that ever was is
    itself chance. About 0.3 us per row.

    Parameters
    ----------
    warm_start
        Errors before the first alarm, at least 1.
    alpha, beta
        Which share of the largest distance is a warning and an alarm, 0 < beta <= alpha < 1.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(7)
    >>> rows = (rng.random(3000) < np.repeat([0.1, 0.3], [2000, 1000])).astype(float)
    >>> eddm(alpha=0.9, beta=0.8).feed(rows).rows.tolist()
    [2527]

    References
    ----------
    Baena-Garcia, M., et al. (2006). Early drift detection method. Workshop on Knowledge Discovery from
    Data Streams.

    """
    count(warm_start=(warm_start, 1))
    share("alpha", alpha)
    share("beta", beta)
    ordered(("beta", beta), ("alpha", alpha))
    given = {"warm_start": warm_start, "alpha": alpha, "beta": beta}
    return RiverStream(Choice("eddm", "EDDM", given, errors=True))


def hddm_a(
    *, drift_confidence: float = 0.001, warning_confidence: float = 0.005, two_sided_test: bool = False
) -> RiverStream:
    """Hoeffding's drift detection method on averages: the mean since the start against its lowest part.

    Finds abrupt changes. About 3 us per row.

    Parameters
    ----------
    drift_confidence, warning_confidence
        Probability that one look is a false alarm or warning, in (0, 1); the first is not above the other.
    two_sided_test
        Whether fewer errors are an alarm too.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(7)
    >>> rows = (rng.random(3000) < np.repeat([0.1, 0.3], [2000, 1000])).astype(float)
    >>> hddm_a().feed(rows).rows.tolist()
    [2071]

    References
    ----------
    Frias-Blanco, I., et al. (2015). Online and non-parametric drift detection methods based on Hoeffding's
    bounds. IEEE Transactions on Knowledge and Data Engineering 27(3).

    """
    given = _confidences(drift_confidence, warning_confidence) | {"two_sided_test": bool(two_sided_test)}
    return RiverStream(Choice("hddm_a", "HDDMA", given, errors=True))


def hddm_w(
    *,
    drift_confidence: float = 0.001,
    warning_confidence: float = 0.005,
    lambda_val: float = 0.05,
    two_sided_test: bool = False,
) -> RiverStream:
    """Hoeffding's drift detection method on weighted averages: recent rows count for more.

    Finds abrupt changes, large ones: with its own weight it remembers 20 rows, and a rate that rises by half
    is mostly missed. About 3 us per row.

    Parameters
    ----------
    drift_confidence, warning_confidence
        Probability that one look is a false alarm or warning, in (0, 1); the first is not above the other.
    lambda_val
        The weight of the newest row, in (0, 1): 0.05 remembers about 20 rows.
    two_sided_test
        Whether fewer errors are an alarm too.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(7)
    >>> rows = (rng.random(3000) < np.repeat([0.1, 0.3], [2000, 1000])).astype(float)
    >>> hddm_w().feed(rows).rows.tolist()
    [2075]

    References
    ----------
    Frias-Blanco, I., et al. (2015). Online and non-parametric drift detection methods based on Hoeffding's
    bounds. IEEE Transactions on Knowledge and Data Engineering 27(3).

    """
    share("lambda_val", lambda_val)
    given = _confidences(drift_confidence, warning_confidence)
    given |= {"lambda_val": lambda_val, "two_sided_test": bool(two_sided_test)}
    return RiverStream(Choice("hddm_w", "HDDMW", given, errors=True))


def fhddm(
    *,
    sliding_window_size: int = 100,
    confidence_level: float = 0.000001,
    short_window_size: int | None = None,
) -> RiverStream:
    """Fast Hoeffding drift detection method: the last rows against the best of as many that there were.

    Finds abrupt changes, large ones only: with 100 rows the rate has to rise by a quarter. River looks for a
    fall of what it is fed, against its own documentation; here errors are turned round first, so that more
    errors are the alarm. About 0.3 us per row.

    Parameters
    ----------
    sliding_window_size
        Rows in the window, at least 1.
    confidence_level
        Probability of one look to be a false alarm, in (0, 1).
    short_window_size
        Rows of a second window, the end of the first; None is without.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(7)
    >>> rows = (rng.random(3000) < np.repeat([0.1, 0.3], [2000, 1000])).astype(float)
    >>> fhddm().feed(rows).rows.tolist()
    [2080]

    References
    ----------
    Pesaranghader, A., Viktor, H. (2016). Fast Hoeffding drift detection method for evolving data streams.
    ECML-PKDD.

    """
    share("confidence_level", confidence_level)
    count(sliding_window_size=(sliding_window_size, 1))
    if short_window_size is not None:
        count(short_window_size=(short_window_size, 1))
        ordered(("short_window_size", short_window_size), ("sliding_window_size", sliding_window_size))
    given = {
        "sliding_window_size": sliding_window_size,
        "confidence_level": confidence_level,
        "short_window_size": short_window_size,
    }
    return RiverStream(Choice("fhddm", "FHDDM", given, errors=True, inverted=True))


def _confidences(drift: float, warning: float) -> dict[str, float | bool]:
    share("drift_confidence", drift)
    share("warning_confidence", warning)
    ordered(("drift_confidence", drift), ("warning_confidence", warning))
    return {"drift_confidence": drift, "warning_confidence": warning}
