"""Every multivariate detector keeps every law of detectors/joint_contract.py."""

import numpy as np
import pytest

from detectors.joint import Joint
from detectors.joint_contract import LAWS, Bench, missing_values_are_no_trouble
from detectors.multivariate import MULTIVARIATE


def rows(seed: int, n: int, shift: float = 0.0) -> Joint:
    rng = np.random.default_rng(seed)
    cause = rng.normal(size=(n, 1))
    numbers = 3.0 + shift * np.array([1.0, 0.0, -1.0, 0.0]) + cause + 0.5 * rng.normal(size=(n, 4))
    numbers[:, 3] = np.round(numbers[:, 3])
    codes = rng.choice(4, p=[0.6, 0.3, 0.08, 0.02], size=(n, 1)).astype(np.int32)
    return Joint(("a", "b", "c", "d", "e"), numbers, codes)


BENCH = Bench(rows(1, 600), rows(2, 200), rows(3, 200, 2.0))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("detector", MULTIVARIATE)
def test_law(detector: str, law: str) -> None:
    assert list(LAWS[law](MULTIVARIATE[detector], BENCH)) == []


@pytest.mark.parametrize("detector", sorted({*MULTIVARIATE} - {"cosine"}))
def test_missing_values(detector: str) -> None:
    assert list(missing_values_are_no_trouble(MULTIVARIATE[detector], BENCH)) == []


def test_cosine_leaves_out_rows_that_lack_a_coordinate() -> None:
    calm = BENCH.calm.numeric.copy()
    calm[::2, 1] = np.nan
    whole = np.flatnonzero(~np.isnan(calm[:, 1]))
    cosine = MULTIVARIATE["cosine"]
    part = Joint(BENCH.calm.columns, calm[whole], BENCH.calm.codes[whole])

    found = cosine(BENCH.reference, Joint(BENCH.calm.columns, calm, BENCH.calm.codes), 1e-3, {}, 0)
    assert found == cosine(BENCH.reference, part, 1e-3, {}, 0)
    with pytest.raises(ValueError, match="0 usable rows in the window"):
        cosine(
            BENCH.reference, Joint(part.columns, np.full_like(part.numeric, np.nan), part.codes), 0.1, {}, 0
        )
