"""How large a regression's errors are before the true numbers come: direct loss estimation (DLE).

Two small ensembles of trees learn |error| and error^2 from a reference's features and predictions; what they
predict for a window's rows is averaged. The assumption: the same features and prediction go with errors as
large as in the reference. When the world changes so that they do not (concept drift), or where the reference
has no rows, the estimate is blind. See docs/estimation.md.

scikit-learn fits the trees; from then on they are plain arrays, so that a model can be stored and used
without it. It is imported where it is used: its import costs more than the daemon's start may.
"""

import hashlib
import io
import math
from collections.abc import Mapping
from statistics import NormalDist

import numpy as np
from msgspec import Struct
from msgspec.structs import asdict, replace
from numpy.typing import NDArray

from detectors.measure import Estimate, Floats
from detectors.regression import near

METHOD = "dle"
LARGEST_SAMPLE = 20_000
TREES = 60
DEPTH = 4
LEARNING_RATE = 0.1
BATCH = 2_048
"""So many rows go through the trees at a time: what they touch fits into the processor's cache."""
VERSION = 1
NORMAL_KURTOSIS = 3.0
Ints = NDArray[np.int32]


class Trees(Struct, frozen=True, eq=False):
    """Ensembles of binary trees as parallel arrays of their nodes; L ensembles of T trees.

    feature: int32 [nodes], what a node asks for. threshold: float64 [nodes]; rows up to it go to the left.
    missing_left: bool [nodes], where rows without the feature go. children: int32 [nodes, 2], left and right,
    of a leaf itself. value: float64 [nodes], of leaves. roots: int32 [L, T]. base: float64 [L].
    """

    feature: Ints
    threshold: Floats
    missing_left: NDArray[np.bool_]
    children: Ints
    value: Floats
    roots: Ints
    base: Floats

    def sums(self, rows: Floats) -> Floats:
        """Return the base plus the leaves that each row [n, columns] reaches: float64 [n, L]."""
        parts = [self._batch(rows[i : i + BATCH]) for i in range(0, len(rows), BATCH)]
        return np.concatenate(parts) if parts else np.empty((0, len(self.base)))

    def _batch(self, rows: Floats) -> Floats:
        node = np.broadcast_to(self.roots.ravel(), (len(rows), self.roots.size))
        row = np.arange(len(rows))[:, None]
        for _ in range(DEPTH):
            value = rows[row, self.feature[node]]
            left = (value <= self.threshold[node]) | (np.isnan(value) & self.missing_left[node])
            node = np.where(left, self.children[node, 0], self.children[node, 1])
        return np.asarray(self.value[node].reshape(len(rows), *self.roots.shape).sum(axis=2) + self.base)


class LossModel(Struct, frozen=True, eq=False):
    """What to expect of |error| and error^2, given the features and the prediction.

    reach: float64 [2, F], the least and the largest value of each feature in the reference, NaN without any;
    missing: bool [F], whether it lacked any. kurtosis: the mean of error^4 over the mean of the squared
    expected error^2. rows: how many rows of the reference it has learnt from.
    """

    trees: Trees
    reach: Floats
    missing: NDArray[np.bool_]
    kurtosis: float
    rows: int

    def predict(self, features: Floats, prediction: Floats) -> Floats:
        """Return the expected |error| and error^2: float64 [n, 2], 0 or more.

        features: float64 [n, F], in the reference's order. prediction: float64 [n]; rows without one are for
        the caller to leave out. ValueError for another number of features.
        """
        if features.ndim != 2 or features.shape[1] != self.reach.shape[1]:  # noqa: PLR2004 - a matrix
            raise ValueError(f"features of shape {features.shape}, {self.reach.shape[1]} were learnt")
        mean, square = self.trees.sums(_columns(features, prediction)).T
        mean = np.maximum(mean, 0.0)
        return np.stack([mean, np.maximum(square, np.square(mean))], axis=1)  # no spread is negative

    def coverage(self, features: Floats) -> float | None:
        """Return the share of the rows whose every feature lies in the reference's range; None without rows.

        A missing value is in range if the reference lacked some too. It looks at one feature at a time: a
        combination of values that the reference never held counts as known.
        """
        if len(features) == 0:
            return None
        finite = np.isfinite(features)
        inside = (features >= self.reach[0]) & (features <= self.reach[1])
        return float(np.where(finite, inside, self.missing).all(axis=1).mean())

    def dump(self) -> bytes:
        """Return the model as bytes, the same for the same model; `digest` tells them apart."""
        buffer = io.BytesIO()
        numbers = np.array([VERSION, self.rows, self.kurtosis], dtype=np.float64)
        np.savez(buffer, reach=self.reach, missing=self.missing, numbers=numbers, **asdict(self.trees))
        return buffer.getvalue()


def digest(dumped: bytes) -> str:
    """Return the SHA-256 of a dumped model, in hexadecimal."""
    return hashlib.sha256(dumped).hexdigest()


def load(dumped: bytes, sha256: str) -> LossModel:
    """Return the dumped model; ValueError, before anything is read, unless the bytes have this SHA-256.

    The bytes are plain arrays: nothing in them is executed.
    """
    if digest(dumped) != sha256:
        raise ValueError("the bytes of the loss model are not the ones that were stored")
    with np.load(io.BytesIO(dumped), allow_pickle=False) as arrays:
        version, rows, kurtosis = arrays["numbers"].tolist()
        if version != VERSION:
            raise ValueError(f"a loss model of version {version:.0f}, this is {VERSION}")
        trees = Trees(*(arrays[name] for name in Trees.__struct_fields__))
        return LossModel(trees, arrays["reach"], arrays["missing"], kurtosis, int(rows))


def fit_loss(features: Floats, prediction: Floats, label: Floats, seed: int) -> LossModel:
    """Learn how large errors are; the same rows and seed give the same model.

    features: float64 [n, F], NaN (or infinite) where a row lacks one; categories as codes, new ones for the
    caller to map. prediction, label: float64 [n]; rows that lack one of them, or where one is further from 0
    than 1e60, are left out, as they are of the realised errors. Of more than LARGEST_SAMPLE rows, so many
    are drawn. ValueError if no row is left.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> features = rng.random((5_000, 2))
    >>> prediction = 10.0 * features[:, 0]
    >>> label = prediction + rng.normal(size=5_000) * (1.0 + 4.0 * (features[:, 1] > 0.5))
    >>> learnt = fit_loss(features, prediction, label, seed=1)
    >>> expected = learnt.predict(np.array([[0.5, 0.2], [0.5, 0.8]]), np.array([5.0, 5.0]))
    >>> bool(expected[1, 0] > 3.0 * expected[0, 0])
    True

    """
    usable = np.flatnonzero(near(prediction) & near(label))
    if len(usable) == 0:
        raise ValueError("no row of the reference has both a prediction and a label")
    drawn = usable
    if len(usable) > LARGEST_SAMPLE:
        drawn = np.sort(np.random.default_rng(seed).choice(usable, LARGEST_SAMPLE, replace=False))
    rows, error = _columns(features[drawn], prediction[drawn]), label[drawn] - prediction[drawn]
    trees = _ensembles(rows, np.stack([np.abs(error), np.square(error)]), seed)
    reach, missing = _reach(features[usable])
    model = LossModel(trees, reach, missing, NORMAL_KURTOSIS, len(drawn))
    square = float(np.square(model.predict(features[drawn], prediction[drawn])[:, 1]).mean())
    kurtosis = max(float((error**4).mean()) / square, 1.0) if square > 0.0 else NORMAL_KURTOSIS
    return replace(model, kurtosis=kurtosis)


def _reach(features: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the least and the largest value of each feature, [2, F], and which ones some rows lack."""
    finite = np.isfinite(features)
    least = np.where(finite, features, np.inf).min(axis=0)
    most = np.where(finite, features, -np.inf).max(axis=0)
    ends = np.where(finite.any(axis=0), np.stack([least, most]), np.nan)
    return ends, np.asarray(~finite.all(axis=0))


def _columns(features: Floats, prediction: Floats) -> Floats:
    """Return what the trees see: the features and the prediction, NaN for whatever is not finite."""
    both = np.column_stack([features, prediction]).astype(np.float64, copy=False)
    return np.where(np.isfinite(both), both, np.nan)


def _ensembles(rows: Floats, targets: Floats, seed: int) -> Trees:
    from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415 - see the module's text

    rows = np.where(np.isnan(rows).all(axis=0), 0.0, rows)  # it fails on a column of nothing
    nodes: list[NDArray[np.void]] = []
    base = np.empty(len(targets))
    for i, target in enumerate(targets):
        learner = HistGradientBoostingRegressor(
            max_iter=TREES,
            max_depth=DEPTH,
            learning_rate=LEARNING_RATE,
            early_stopping=False,
            random_state=seed,
            categorical_features=None,
        ).fit(rows, target)
        # The trees have no public form; the tests hold ours equal to the learner's own predictions.
        base[i] = float(learner._baseline_prediction.item())  # noqa: SLF001
        nodes += [trees[0].nodes for trees in learner._predictors]  # noqa: SLF001
    return _joined(nodes, base)


def _joined(nodes: list[NDArray[np.void]], base: Floats) -> Trees:
    """Return the ensembles' trees as one, each tree's children counted from its own first node."""
    starts = np.cumsum([0, *map(len, nodes)])[:-1]
    every = np.concatenate(nodes)
    start = np.repeat(starts, [len(tree) for tree in nodes])
    leaf = every["is_leaf"].astype(bool)
    itself = np.arange(len(every))
    children = [np.where(leaf, itself, every[side] + start) for side in ("left", "right")]
    return Trees(
        np.where(leaf, 0, every["feature_idx"]).astype(np.int32),
        every["num_threshold"].astype(np.float64),
        every["missing_go_to_left"].astype(bool),
        np.stack(children, axis=1).astype(np.int32),
        every["value"].astype(np.float64),
        starts.reshape(len(base), -1).astype(np.int32),
        base,
    )


def loss_sums(losses: Floats) -> Floats:
    """Return what the estimate of some rows is made of, from their losses [m, 2]: float64 [4].

    Rows, |error|, error^2 and the square of the expected error^2; the sums of two sets of rows add up to
    those of both.
    """
    return np.array([len(losses), *losses.sum(axis=0), np.square(losses[:, 1]).sum()])


def estimate_regression(
    losses: Floats, level: float, kurtosis: float = NORMAL_KURTOSIS, reference_rows: int = 0
) -> Mapping[str, Estimate]:
    """Return `estimate_sums` of the rows with these losses: float64 [m, 2], from LossModel.predict.

    Examples
    --------
    >>> found = estimate_regression(np.tile([0.8, 1.0], (400, 1)), level=0.05)
    >>> [(name, round(one.low, 2), one.value, round(one.high, 2)) for name, one in found.items()]
    [('mae', 0.74, 0.8, 0.86), ('mse', 0.86, 1.0, 1.14), ('rmse', 0.93, 1.0, 1.07)]

    """
    return estimate_sums(loss_sums(losses), level, kurtosis, reference_rows)


def estimate_sums(
    sums: Floats, level: float, kurtosis: float = NORMAL_KURTOSIS, reference_rows: int = 0
) -> Mapping[str, Estimate]:
    """Return the mean absolute error, the mean squared error and its root that the rows will probably have.

    sums: float64 [4], from loss_sums. The realised value is in the band with probability 1 - level or more,
    if features go with errors as they did: it holds the chance of the labels and of which rows came, that of
    the root by the delta method. error^2 varies by `kurtosis` (of a LossModel; 3 if errors are normal given
    the row).
    reference_rows: a LossModel's, whose chance is then in the band too; 0 leaves it out.
    """
    rows = round(float(sums[0]))
    if rows == 0:
        return {name: Estimate(None, None, None, 0) for name in ("mae", "mse", "rmse")}
    mae, mse, fourth = (sums[1:] / rows).tolist()
    root = math.sqrt(mse)
    noise = 1.0 / rows + (1.0 / reference_rows if reference_rows else 0.0)
    z = -NormalDist().inv_cdf(level / 2.0) * math.sqrt(noise)
    by_square = z * math.sqrt(max(kurtosis * fourth - mse * mse, 0.0))
    reaches = {
        "mae": (mae, z * math.sqrt(max(mse - mae * mae, 0.0))),
        "mse": (mse, by_square),
        "rmse": (root, by_square / (2.0 * root) if root > 0.0 else 0.0),
    }
    return {name: _band(value, reach, rows) for name, (value, reach) in reaches.items()}


def _band(value: float, reach: float, rows: int) -> Estimate:
    """Return the estimate, of 0 or more; without a number where one was too large to be squared."""
    if not math.isfinite(value + reach):
        return Estimate(None, None, None, rows, METHOD)
    return Estimate(value, max(value - reach, 0.0), value + reach, rows, METHOD)
