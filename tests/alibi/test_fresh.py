"""What the process was asked before changes no answer: a fresh one gives the same.

`driftd explain --verify` asks a fresh one, and so does a daemon that was started again.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from detectors.alibi import ALIBI
from detectors.joint import Asked, Comparison, Joint, Option
from monitor.alibi_asking import AlibiDetect
from tests.alibi.environments import alibi_of, close_all

LEVEL = 0.01
STREAM: Mapping[str, Option] = {
    "rows": 100, "ert": 10, "n_bootstraps": 100, "n_streams": 30, "window_size": 5,
}  # fmt: skip
PERMUTED: Mapping[str, Option] = {"n_permutations": 30}
CASES: Mapping[str, Mapping[str, Option]] = {
    "online_cvm": STREAM,
    "online_fet": {**STREAM, "lam": 1.0},  # unsmoothed it ties with its threshold, and draws
    "online_mmd": STREAM,
    "mmd": PERMUTED,
    "lsdd": PERMUTED,
    "learned_kernel": {**PERMUTED, "epochs": 2},
    "classifier": {"model": "random_forest"},
    "spot_the_diff": {"epochs": 2},
}


@pytest.fixture(scope="module", autouse=True)
def _ended() -> Iterator[None]:
    yield
    close_all()


def rows(detector: str, seed: int, n: int, shift: float) -> Joint:
    """Return one column that the detector takes."""
    rng = np.random.default_rng(seed)
    binary = ALIBI[detector].takes == "binary"
    found = rng.random((n, 1)) < 0.3 + 0.2 * shift if binary else rng.normal(shift, size=(n, 1))
    return Joint(("x",), found.astype(np.float64), np.zeros((n, 0), np.int32))


@pytest.mark.parametrize("detector", CASES)
def test_what_was_asked_before_changes_no_answer(detector: str) -> None:
    usual, first, second = (rows(detector, *one) for one in ((1, 100, 0.0), (2, 60, 0.0), (3, 40, 0.5)))
    warm = alibi_of(detector)

    def asked(alibi: AlibiDetect, window: Joint, seed: int) -> Comparison:
        found = alibi.compare(Asked(f"alibi.{detector}", usual, window, LEVEL, CASES[detector], seed))
        assert isinstance(found, Comparison), found
        return found

    before = asked(warm, first, 1)
    after = asked(warm, second, 2)
    fresh = AlibiDetect(warm.table, warm.clock)
    try:
        assert asked(fresh, second, 2) == after
    finally:
        fresh.close()
    assert asked(warm, first, 1) == before
