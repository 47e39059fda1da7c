"""Evidently's DataDriftPreset on a simulated stream, with its defaults, the whole reference and every window.

A Report takes 18 seconds per window here and a month has 720, so the scores come from its formulas, with the
reference sorted once; its own Report judges a number that is calm, one that is not and a category in the last
window, and must give the same.
"""

from itertools import pairwise

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
from scipy.spatial.distance import jensenshannon
from stream import Stream, answer, read

LIMIT = 0.1
CHECKED = (0, -4, -3)


class Numbers:
    """The normed Wasserstein distance: the mean distance of equal quantiles, over the reference's sd."""

    def __init__(self, reference: pd.Series) -> None:
        self._old = np.sort(reference.dropna().to_numpy(float))
        self._sums = np.concatenate([[0.0], np.cumsum(self._old)])
        self._norm = max(float(np.std(self._old)), 0.001)

    def score(self, window: pd.Series) -> float:
        """Return the score of one window."""
        new, n = np.sort(window.dropna().to_numpy(float)), len(self._old)
        ends = np.linspace(0.0, n, len(new) + 1)
        low, high = ends[:-1], ends[1:]
        cross = np.clip(np.searchsorted(self._old, new), low, high)
        below = new * (cross - low) - (self._sum(cross) - self._sum(low))
        above = self._sum(high) - self._sum(cross) - new * (high - cross)
        return float((below + above).sum() / n / self._norm)

    def _sum(self, rows: np.ndarray) -> np.ndarray:
        """Return the sum of so many of the reference's smallest values, parts of one included."""
        whole = np.minimum(rows.astype(int), len(self._old) - 1)
        return self._sums[whole] + (rows - whole) * self._old[whole]


class Categories:
    """The Jensen-Shannon distance, in nats."""

    def __init__(self, reference: pd.Series) -> None:
        self._old = reference.value_counts(normalize=True)

    def score(self, window: pd.Series) -> float:
        """Return the score of one window."""
        both = pd.concat([self._old, window.value_counts(normalize=True)], axis=1).fillna(0.0)
        return float(jensenshannon(both.iloc[:, 0], both.iloc[:, 1]))


def main() -> None:
    """Judge every window."""
    stream = read()
    limits = stream.bounds()
    frame = pd.DataFrame(stream.columns)
    old = frame[stream.window < stream.reference]
    windows = [frame.iloc[a:b] for a, b in pairwise(limits)]
    made = {name: (Categories if name in stream.categories else Numbers)(old[name]) for name in frame}
    scores = [[one.score(window[name]) for name, one in made.items()] for window in windows]
    own = reported(stream, old, windows[-1])
    assert np.allclose([own[name] for name in checked(stream)], [scores[-1][at] for at in CHECKED], rtol=1e-6)
    answer(stream, scores, "drift")


def checked(stream: Stream) -> list[str]:
    """Return the names of the columns that Evidently itself judges."""
    return [stream.names[at] for at in CHECKED]


def reported(stream: Stream, old: pd.DataFrame, window: pd.DataFrame) -> dict[str, float]:
    """Return the scores that Evidently itself gives, and check which methods and limits it takes."""
    names = checked(stream)
    numbers = [name for name in names if name not in stream.categories]
    given = DataDefinition(numerical_columns=numbers, categorical_columns=stream.categories)
    then, now = (Dataset.from_pandas(rows[names], data_definition=given) for rows in (old, window))
    result = Report([DataDriftPreset()]).run(now, then)
    found = {}
    for metric in result.dict()["metrics"]:
        config = metric["config"]
        if "column" in config:
            method = "Wasserstein" if config["column"] in numbers else "Jensen-Shannon"
            assert config["method"].startswith(method), config
            assert config["threshold"] == LIMIT, config
            found[config["column"]] = float(metric["value"])
    return found


if __name__ == "__main__":
    main()
