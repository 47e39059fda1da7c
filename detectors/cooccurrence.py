"""Which columns of a sample are missing on the same rows: those that one failure upstream took away."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detectors.sample import Sample

ALIKE = 0.8
"""Two columns fail together when of the rows that lack either, so many lack both."""
FEW = 5
"""On fewer rows nothing is said."""


def missing_rows(sample: Sample, numeric: Sequence[int], codes: Sequence[int]) -> NDArray[np.bool_]:
    """Return which rows lack which of these columns: bool [k, numeric and codes], numeric ones first."""
    absent = np.isnan(sample.numeric[:, list(numeric)])
    return np.concatenate([absent, sample.codes[:, list(codes)] < 0], axis=1)


def together(missing: NDArray[np.bool_]) -> list[list[int]]:
    """Return the columns of bool [k, C] in sets that are missing on the same rows, the largest set first.

    Each column joins the first set whose first column it is alike with (Jaccard's index); a column that lacks
    hardly any row is in none.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> outage = rng.random(200) < 0.3
    >>> missing = np.stack([outage, rng.random(200) < 0.3, outage, outage, np.zeros(200, bool)], axis=1)
    >>> together(missing)
    [[0, 2, 3], [1]]

    """
    rows = missing.astype(np.float64)
    counts = rows.sum(axis=0)
    both = rows.T @ rows
    either = counts[:, None] + counts - both
    alike = both >= ALIKE * np.maximum(either, 1.0)
    left = [column for column in np.argsort(-counts, kind="stable").tolist() if counts[column] >= FEW]
    found = []
    while left:
        mine = [column for column in left if alike[left[0], column]]
        found.append(sorted(mine))
        left = [column for column in left if column not in mine]
    return sorted(found, key=lambda columns: (-len(columns), columns))
