"""How far predicted numbers were from the true ones, from sums that merge.

With e = prediction - label: mae = mean |e|, mse = mean e^2, rmse its root, mape = mean |e / label|, r2 = 1 -
mse / variance of the labels, bias = mean e, pinball:<q> the quantile loss of q, error_p05, error_p50 and
error_p95 quantiles of e. mape (0.1 is 10 %) and r2 have no unit, mse the label's squared, the others that of
the label.
"""

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from detectors.intervals import normal_quantile
from detectors.means import around, mean_estimate, moved, standard_error, within
from detectors.measure import Better, Estimate, Floats, Ints, Scored

EPSILON = 1e-9
"""Labels nearer to 0 than this have no relative error: mape leaves them out."""
FURTHEST = 1e60
"""Values further than this from the centre are no use: their fourth powers would not add up."""
FLAT = 1e-9
"""Labels whose variance is a smaller share than this of their mean square about the centre are constant."""
ERROR_CELLS = 100
TAIL_CELLS = 16
"""Beyond the reference's errors: the first an eighth of their range wide, each twice as wide as the last."""
ERROR_QUANTILES: Mapping[str, float] = MappingProxyType(
    {"error_p05": 0.05, "error_p50": 0.5, "error_p95": 0.95}
)
LOSSES = ("mae", "mse", "rmse", "mape")
DESCRIPTIONS = ("label_mean", "prediction_mean", "unusable", "mape_left_out")
FIELDS = (
    *("n", "unusable", "abs", "e", "e2", "e_abs", "e4"),
    *("u", "u2", "u3", "u4", "e2u", "e2u2"),
    *("v", "v2", "relative_n", "relative", "relative2"),
)
"""What is summed up, in this order: e is the error, u the label and v the prediction about the centre."""


def near(values: Floats) -> NDArray[np.bool_]:
    """Tell which values are finite and no further from 0 than FURTHEST: bool, of the values' shape.

    Examples
    --------
    >>> near(np.array([1e60, -1e61, np.nan, np.inf])).tolist()
    [True, False, False, False]

    """
    return np.abs(values) <= FURTHEST


def error_edges(errors: Floats) -> tuple[float, ...]:
    """Return the edges on which errors are counted: hundredths of the reference's errors, and wide tails.

    errors: float64 [n], prediction - label of the reference's rows; those that are not finite are left out.
    At most 133 edges, ascending; none where there is no error to go by.

    Examples
    --------
    >>> edges = error_edges(np.random.default_rng(0).normal(size=10_000))
    >>> len(edges), round(edges[16 + 5], 2), round(edges[16 + 50], 2)
    (133, -1.63, -0.01)

    """
    usable = errors[near(errors)]
    if not len(usable):
        return ()
    middle = np.quantile(usable, np.linspace(0.0, 1.0, ERROR_CELLS + 1))
    first, last = float(middle[0]), float(middle[-1])
    reach = ((last - first) or abs(last) or 1.0) / 8.0 * (2.0 ** np.arange(1, TAIL_CELLS + 1) - 1.0)
    edges = np.unique(np.concatenate([first - reach, middle, last + reach]))
    return tuple(float(edge) for edge in edges)


class RegressionMeasure:
    """Measures predicted numbers, like scikit-learn's metrics on the same rows.

    Rows whose prediction or label is not finite, or further than 1e60 from the centre, are left out and
    counted in `unusable`. Labels nearer to 0 than 1e-9 have no relative error: mape leaves those rows out and
    `mape_left_out` counts them. Without rows a metric is None; so is r2 of labels that do not vary.

    Intervals: of means by the sample variance of a row's share in them ("normal"), of rmse and r2 by the
    delta method, of error quantiles by order statistics, outwards to the edges of the cells they lie in; a
    quantile itself is off by at most the width of its cell. With one row there is no interval. Of
    heavy-tailed errors the intervals of mse, rmse and r2 are too short until there are many rows. Variances
    come from sums of powers about the centre: much further from it than their spread, values lose digits.

    Parameters
    ----------
    edges
        Ascending, where errors are told apart (`error_edges`); without them there are no error quantiles.
    quantiles
        Of the quantile losses, each in (0, 1). They cost nothing in the sums.
    centre
        A number near the labels, best the mean of the reference's.

    Examples
    --------
    >>> label = np.random.default_rng(0).normal(size=1_000)
    >>> rows = Scored(label + 0.5, np.empty((1_000, 0)), label)
    >>> measure = RegressionMeasure()
    >>> values = measure.values(measure.sums(rows, np.zeros(1_000, np.int64), 1)[0], 0.05)
    >>> [round(values[name].value, 3) for name in ("mae", "rmse", "r2", "pinball:0.5")]
    [0.5, 0.5, 0.738, 0.25]

    References
    ----------
    Koenker, R., Bassett, G. (1978). Regression quantiles. Econometrica 46(1).
    Wilks, S. S. (1948). Order statistics. Bulletin of the American Mathematical Society 54(1).

    """

    def __init__(
        self, edges: tuple[float, ...] = (), quantiles: tuple[float, ...] = (0.5,), centre: float = 0.0
    ) -> None:
        self._edges = np.array(edges, dtype=np.float64)
        if not (np.isfinite(self._edges).all() and (np.diff(self._edges) > 0).all()):
            raise ValueError("edges of errors must be finite and ascending")
        if not all(0.0 < q < 1.0 for q in quantiles):
            raise ValueError(f"quantiles must lie between 0 and 1: {quantiles}")
        if not math.isfinite(centre):
            raise ValueError("the centre must be finite")
        self._quantiles = {f"pinball:{q:g}": q for q in quantiles}
        self._centre = float(centre)
        self.width = len(FIELDS) + (len(edges) + 1 if edges else 0)
        self.open_width = 3
        self.better: Mapping[str, Better] = MappingProxyType(
            dict.fromkeys((*LOSSES, *self._quantiles), Better.LOWER)
            | {"r2": Better.HIGHER, "bias": Better.NEITHER}
            | dict.fromkeys((*(ERROR_QUANTILES if edges else ()), *DESCRIPTIONS), Better.NEITHER)
        )

    def sums(self, rows: Scored, groups: Ints, count: int) -> Floats:
        """Sum up rows with labels: float64 [count, width]; groups [n] names each row's group, 0..count-1."""
        label, prediction = rows.label - self._centre, rows.prediction - self._centre
        usable = near(label) & near(prediction)
        result = np.zeros((count, self.width))
        result[:, FIELDS.index("unusable")] = np.bincount(groups[~usable], minlength=count)
        if not usable.all():
            label, prediction, groups = label[usable], prediction[usable], groups[usable]
            rows = rows.take(usable)
        result[:, FIELDS.index("n")] = np.bincount(groups, minlength=count)
        error = rows.prediction - rows.label
        for name, term in (*_powers(error, label), *_parts(error, rows.label)):
            result[:, FIELDS.index(name)] = np.bincount(groups, term, count)
        for name, term in (("v", prediction), ("v2", prediction * prediction)):
            result[:, FIELDS.index(name)] = np.bincount(groups, term, count)
        if len(self._edges):
            cells = len(self._edges) + 1
            cell = groups * cells + np.searchsorted(self._edges, error, side="right")
            result[:, len(FIELDS) :] = np.bincount(cell, minlength=count * cells).reshape(count, cells)
        return result

    def open_sums(self, rows: Scored, groups: Ints, count: int) -> Floats:
        """Return count, sum and sum of squares of usable predictions about the centre: float64 [count, 3]."""
        prediction = rows.prediction - self._centre
        usable = near(prediction)
        prediction, groups = prediction[usable], groups[usable]
        terms = (np.ones(len(prediction)), prediction, prediction * prediction)
        return np.stack([np.bincount(groups, term, count) for term in terms], axis=1)

    def values(self, sums: Floats, level: float) -> Mapping[str, Estimate]:
        """Return every metric of `better` of sums [width], each with its interval of confidence 1 - level."""
        s = dict(zip(FIELDS, sums[: len(FIELDS)].tolist(), strict=True))
        n = round(s["n"])
        found = {
            "mae": _loss(s["n"], s["abs"], s["e2"], level),
            "mse": _loss(s["n"], s["e2"], s["e4"], level),
            "rmse": _rmse(s, level),
            "mape": _loss(s["relative_n"], s["relative"], s["relative2"], level),
            "r2": _r2(s, level),
            "bias": mean_estimate(n, s["e"], s["e2"], level),
            "label_mean": moved(mean_estimate(n, s["u"], s["u2"], level), self._centre),
            "prediction_mean": moved(mean_estimate(n, s["v"], s["v2"], level), self._centre),
            "unusable": Estimate(s["unusable"], None, None, n + round(s["unusable"])),
            "mape_left_out": Estimate(s["n"] - s["relative_n"], None, None, n),
        }
        found |= {name: _pinball(s, q, level) for name, q in self._quantiles.items()}
        if len(self._edges):
            cells = sums[len(FIELDS) :]
            found |= {name: self._quantile(cells, q, level) for name, q in ERROR_QUANTILES.items()}
        return {name: found[name] for name in self.better}

    def losses(self, sums: Floats) -> tuple[int, float, float]:
        """Return rows, sum and sum of squares of their absolute errors."""
        n, total, squares = (float(sums[FIELDS.index(name)]) for name in ("n", "abs", "e2"))
        return round(n), total, squares

    def _quantile(self, cells: Floats, q: float, level: float) -> Estimate:
        """Return a quantile of the errors; None beyond the outermost edges, no interval that ends there."""
        below = np.cumsum(cells)
        n = round(float(below[-1]))
        cell = int(np.searchsorted(below, q * n))
        if not (n and 0 < cell < len(self._edges)):
            return Estimate(None, None, None, n)
        left, right = float(self._edges[cell - 1]), float(self._edges[cell])
        into = (q * n - float(below[cell - 1])) / float(cells[cell])
        value = min(left + into * (right - left), right)
        reach = normal_quantile(level) * math.sqrt(n * q * (1.0 - q))
        lowest = int(np.searchsorted(below, math.floor(q * n - reach)))
        highest = int(np.searchsorted(below, math.ceil(q * n + reach) + 1))
        if not 0 < lowest <= highest < len(self._edges):
            return Estimate(value, None, None, n)
        return Estimate(value, float(self._edges[lowest - 1]), float(self._edges[highest]), n, "order")


def _loss(n: float, total: float, squares: float, level: float) -> Estimate:
    return within(mean_estimate(round(n), total, squares, level), 0.0, math.inf)


def _rmse(s: Mapping[str, float], level: float) -> Estimate:
    n = round(s["n"])
    root = math.sqrt(max(s["e2"], 0.0) / n) if n else math.nan
    error = standard_error(n, s["e2"], s["e4"]) / (2.0 * root or 1.0)
    return within(around(root, error, n, level, "delta"), 0.0, math.inf)


def _pinball(s: Mapping[str, float], q: float, level: float) -> Estimate:
    """Return a quantile loss: of a row |e| / 2 - (q - 1/2) e, so that the same sums give it for every q."""
    tilt = q - 0.5
    squares = (0.25 + tilt * tilt) * s["e2"] - tilt * s["e_abs"]
    return _loss(s["n"], 0.5 * s["abs"] - tilt * s["e"], squares, level)


def _r2(s: Mapping[str, float], level: float) -> Estimate:
    """Return r2: with w a label about the mean, a row moves it by (share w^2 - e^2) / sum of w^2."""
    n = round(s["n"])
    shift = s["u"] / n if n else 0.0
    spread = s["u2"] - s["u"] * shift
    if spread <= FLAT * s["u2"]:
        return Estimate(None, None, None, n)
    share = s["e2"] / spread
    w4 = s["u4"] - shift * (4.0 * s["u3"] - shift * (6.0 * s["u2"] - 3.0 * shift * s["u"]))
    e2w2 = s["e2u2"] - shift * (2.0 * s["e2u"] - shift * s["e2"])
    squares = s["e4"] - share * (2.0 * e2w2 - share * w4)
    error = math.sqrt(max(squares, 0.0)) / spread
    return within(around(1.0 - share, error, n, level, "delta"), -math.inf, 1.0)


def _powers(error: Floats, label: Floats) -> Iterator[tuple[str, Floats]]:
    """Yield each field's share of every row: powers of the error and of the label about the centre."""
    error2, label2 = error * error, label * label
    yield "e", error
    yield "e2", error2
    yield "e4", error2 * error2
    yield "u", label
    yield "u2", label2
    yield "u3", label2 * label
    yield "u4", label2 * label2
    yield "e2u", error2 * label
    yield "e2u2", error2 * label2


def _parts(error: Floats, label: Floats) -> Iterator[tuple[str, Floats]]:
    """Yield the fields that take magnitudes; a row without relative error adds 0 to those."""
    size, distance = np.abs(error), np.abs(label)
    yield "abs", size
    yield "e_abs", error * size
    has = distance >= EPSILON
    relative = np.divide(size, distance, out=np.zeros(len(size)), where=has)
    yield "relative_n", has.astype(np.float64)
    yield "relative", relative
    yield "relative2", relative * relative
