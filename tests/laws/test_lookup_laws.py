"""The table finds the same cell as a binary search, whatever the thresholds and the values."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from detectors.profile import NumericGrid
from monitor.core.lookup import lookup_of

FINITE = st.floats(-1.7e308, 1.7e308)
SMALL = st.integers(-5, 25).map(float)


def grid_of(numbers: list[float]) -> NumericGrid:
    lo, *edges, hi = sorted(set(numbers))
    return NumericGrid("x", lo, hi, tuple(edges), 0.0, 1.0, 1.0, ())


@given(
    st.lists(FINITE | SMALL, min_size=2, max_size=300, unique=True), st.lists(FINITE | SMALL, max_size=200)
)
@example([0.0, 1.0], [0.0, -0.0, 5e-324, -5e-324])
@example([-1.7e308, 0.0, 1.7e308], [1.7e308, -1.7e308, 1e-300])
@example([float(k) for k in range(20)], [float(k) for k in range(-2, 25)])
def test_places_and_counts_are_those_of_a_search(numbers: list[float], values: list[float]) -> None:
    grid = grid_of(numbers)
    rows = np.array([*values, *numbers, *np.nextafter(numbers, np.inf)])
    expected = 1 + np.searchsorted(np.array(grid.edges), rows)
    expected[rows < grid.lo] = 0
    expected[rows > grid.hi] = grid.bins + 1

    found = lookup_of(grid)

    assert found.places(rows).tolist() == expected.tolist()
    assert found.counts(rows).tolist() == np.bincount(expected, minlength=grid.bins + 2).tolist()
    often = np.repeat(values, 30)  # few thresholds among many values, and the reverse above
    kept = expected[: len(values)]
    assert found.counts(often).tolist() == (np.bincount(kept, minlength=grid.bins + 2) * 30).tolist()
