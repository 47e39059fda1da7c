"""The example of docs/alibi.md: at which of eight windows each detector finds the change."""

from collections.abc import Iterator
from itertools import takewhile

import numpy as np
import pytest

from detectors.alibi import ALIBI, Takes
from detectors.joint import Asked, Comparison, Joint
from tests.alibi.environments import alibi_of, close_all
from tests.test_docs import page, rows

SEED, LEVEL, WINDOWS, ROWS, CHANGE = 17, 1e-3, 8, 300, 5
TABLE = rows(page("alibi.md"))


@pytest.fixture(scope="module", autouse=True)
def _ended() -> Iterator[None]:
    yield
    close_all()


def example(takes: Takes, rng: np.random.Generator, rows: int, *, changed: bool) -> Joint:
    """Return rows of which the first column is another one after the change."""
    numbers = rng.normal(size=(rows, 3)) + np.array([1.0, 0.0, 0.0]) * changed
    share = 0.6 if changed else 0.3
    codes = np.stack([rng.random(rows) < share, rng.random(rows) < 0.3], axis=1).astype(np.int32)
    if takes == "binary":
        return Joint(("x", "y"), codes.astype(np.float64), np.zeros((rows, 0), np.int32))
    if takes == "categorical":
        return Joint(("x", "y"), np.zeros((rows, 0)), codes)
    return Joint(("a", "b", "c"), numbers, np.zeros((rows, 0), np.int32))


@pytest.mark.parametrize("name", ALIBI)
def test_the_change_is_found_at_the_window_that_the_page_says(name: str) -> None:
    alibi, rng = alibi_of(name), np.random.default_rng(SEED)
    usual = example(ALIBI[name].takes, rng, 1000, changed=False)
    windows = (example(ALIBI[name].takes, rng, ROWS, changed=at >= CHANGE) for at in range(WINDOWS))

    def calm(window: Joint) -> bool:
        found = alibi.compare(Asked(f"alibi.{name}", usual, window, LEVEL, {}, SEED))
        assert isinstance(found, Comparison), found
        return found.score <= found.threshold

    assert sum(1 for _ in takewhile(calm, windows)) == int(TABLE[f"alibi.{name}"][-1])
