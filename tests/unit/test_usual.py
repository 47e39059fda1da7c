"""A reference's own errors and losses: their moments, their memory, their scale."""

import numpy as np
import pytest

from detectors.mean_bound import moments_of
from detectors.measure import Floats, Scored
from monitor.config import Columns, Performance
from monitor.core.usual import BLOCKS, ERROR, LOSS, Usual, losses, usual_of
from tests.lives import judged_model
from tests.logs import model


def drawn(rate: float | Floats, seed: int = 5) -> Floats:
    """Return 40,000 errors of this rate, or of these."""
    return (np.random.default_rng(seed).random(40_000) < rate).astype(float)


CALM = drawn(0.1)
BURSTS = drawn(np.repeat(np.random.default_rng(6).uniform(0.0, 0.4, 2_000), 20))


def usual(values: Floats, *, mapped: bool = False) -> Usual:
    found = Usual.of(values, mapped=mapped)
    assert found is not None
    return found


def test_moments_are_known_of_blocks_of_several_lengths() -> None:
    found = usual(CALM)

    assert [found.moments_of(b) for b in (1, 2, 64)] == [moments_of(CALM, b) for b in (1, 2, 64)]
    assert len(found.moments) == len(BLOCKS)


def test_errors_without_memory_need_no_blocks() -> None:
    assert (usual(CALM).block, usual(CALM).dependent) == (1, False)


def test_errors_that_come_in_bursts_need_blocks_longer_than_these() -> None:
    found = usual(BURSTS)

    assert found.block >= 64
    assert not found.dependent


def test_a_reference_that_wanders_is_said_to_depend_at_any_length() -> None:
    assert usual(drawn(np.linspace(0.05, 0.6, 40_000))).dependent


def test_no_value_is_nothing_usual() -> None:
    assert Usual.of(np.array([np.nan, np.inf]), mapped=True) is None


def test_a_handful_of_rows_is_summed_up() -> None:
    found = usual(np.array([0.0, 1.0, np.nan]))

    assert (found.moments[0].n, found.block) == (2, 1)


@pytest.mark.parametrize("mapped", [False, True])
def test_it_comes_back_as_it_was_written(mapped: bool) -> None:  # noqa: FBT001 - a parameter of the test
    found = usual(np.random.default_rng(7).random(3_000), mapped=mapped)

    assert Usual.load(found.item()) == found


def test_a_mapped_loss_has_the_mean_one_half_and_grows_with_the_losses() -> None:
    found = usual(np.abs(np.random.default_rng(8).normal(size=50_000)) * 1e6, mapped=True)

    assert found.pit is not None
    assert found.moments[0].mean == pytest.approx(0.5, abs=1e-9)
    assert found.grown(0.1) == pytest.approx(0.1 / np.pi, rel=0.1)  # of half-normal losses
    assert found.grown(0.0) == 0.0


def test_errors_and_losses_of_classes() -> None:
    made = judged_model()
    rows = Scored(
        np.full(5, np.nan),
        np.array([[0.75], [0.25], [0.5], [np.nan], [0.75]]),
        np.array([1.0, 1.0, 0.0, 1.0, np.nan]),
    )

    found = {name: loss(rows).tolist() for name, loss in losses(made).items()}

    assert found[ERROR] == pytest.approx([0.0, 1.0, 1.0, 1.0, np.nan], nan_ok=True)
    assert found[LOSS] == pytest.approx([0.25, 0.75, 0.5, np.nan, np.nan], nan_ok=True)


def test_losses_of_several_classes_are_what_the_true_one_was_not_given() -> None:
    columns = Columns(prediction_id="id", prediction="y", score={"a": "pa", "b": "pb", "c": "pc"}, label="l")
    made = judged_model(task="multiclass", columns=columns)
    rows = Scored(
        np.array([0.0, np.nan]), np.array([[0.5, 0.25, 0.25], [0.0, 0.25, 0.75]]), np.array([1.0, 2.0])
    )

    found = {name: loss(rows).tolist() for name, loss in losses(made).items()}

    assert found == {ERROR: [1.0, 0.0], LOSS: [0.75, 0.25]}


def test_a_threshold_decides_what_an_error_is() -> None:
    made = judged_model(performance=Performance(threshold=0.8))
    rows = Scored(np.array([1.0]), np.array([[0.75]]), np.array([1.0]))

    assert losses(made)[ERROR](rows).tolist() == [1.0]


def test_a_regression_has_losses_only_and_they_are_mapped() -> None:
    made = model(task="regression", columns=Columns(prediction="y", label="l"))
    rows = Scored(np.array([1.0, 2.0, 3.0]), np.empty((3, 0)), np.array([1.5, 1.0, np.nan]))

    found = usual_of(made, rows)

    assert found.keys() == {LOSS}
    assert found[LOSS].grid is not None
    assert losses(made)[LOSS](rows)[:2].tolist() == [0.5, 1.0]


def test_what_has_no_outcomes_has_no_losses() -> None:
    assert losses(model()) == losses(model(task="ranking")) == {}
    assert usual_of(model(), Scored(np.empty(0), np.empty((0, 0)), np.empty(0))) == {}
