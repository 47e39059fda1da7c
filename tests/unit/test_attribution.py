"""Which feature moved: among many that go together, by what it is alone and with the others."""

import numpy as np
import pytest

from detectors.attribution import FEW, Moved, attribute
from detectors.cooccurrence import together
from detectors.joint import Joint

FEATURES = 25
NAMES = tuple(f"f{i}" for i in range(FEATURES))


def drawn(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.asarray(rng.normal(size=(n, 1)) + 0.8 * rng.normal(size=(n, FEATURES)))


def joint(rows: np.ndarray) -> Joint:
    return Joint(NAMES, rows, np.zeros((len(rows), 0), np.int32))


def calm() -> dict[str, Moved]:
    return {name: Moved(0.3, 0.0, "location") for name in NAMES}


def test_the_feature_that_moved_by_half_a_deviation_is_first() -> None:
    first = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        before, after = drawn(rng, 1000), drawn(rng, 400)
        after[:, seed % FEATURES] += 0.5 * before.std()
        apart = after.mean(axis=0) - before.mean(axis=0)
        alone = {name: Moved(abs(d) / 0.25, d, "location") for name, d in zip(NAMES, apart, strict=True)}
        found = attribute(alone, joint(before), joint(after))
        first += found.parts[0].feature == NAMES[seed % FEATURES]
        assert sum(part.share for part in found.parts) == pytest.approx(1.0)
    assert first >= 39


def test_a_feature_that_only_goes_otherwise_with_the_others_is_first_and_in_the_pair() -> None:
    rng = np.random.default_rng(7)
    before, after = drawn(rng, 1000), drawn(rng, 1000)
    after[:, 3] = -after[:, 3]
    found = attribute(calm(), joint(before), joint(after))
    assert found.parts[0].feature == "f3"
    assert "f3" in found.pair


def test_without_a_change_no_pair_is_named() -> None:
    rng = np.random.default_rng(9)
    assert attribute(calm(), joint(drawn(rng, 1000)), joint(drawn(rng, 1000))).pair == ()


@pytest.mark.parametrize("rows", [0, 5, 60])
def test_few_rows_constants_and_empty_columns_break_nothing(rows: int) -> None:
    before = np.column_stack([np.ones(200), np.full(200, np.nan), np.arange(200.0)])
    window = Joint(("a", "b", "c"), before[:rows], np.full((rows, 0), -1, np.int32))
    alone = {name: Moved(0.0, 0.0, "") for name in ("a", "b", "c")}
    found = attribute(alone, Joint(("a", "b", "c"), before, np.zeros((200, 0), np.int32)), window)
    assert all(np.isfinite([part.share, part.alone]).all() for part in found.parts)
    assert {part.together is None for part in found.parts} == {rows < FEW}
    assert found.agree is None or rows == 60


def test_columns_without_missing_rows_are_in_no_set() -> None:
    assert together(np.zeros((50, 3), bool)) == []
    assert together(np.zeros((0, 3), bool)) == []
    assert together(np.ones((50, 2), bool)) == [[0, 1]]
