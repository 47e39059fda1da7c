"""The worst segment: which one is named, and when it is more than chance."""

import numpy as np
import pytest
from scipy import stats

from detectors.measure import Better, Estimate
from detectors.worst import Search, Segment, Worst, worst


def accuracy(hits: int, rows: int, level: float = 0.05) -> Estimate:
    ends = stats.binomtest(hits, rows).proportion_ci(1 - level, method="wilson")
    return Estimate(hits / rows, float(ends.low), float(ends.high), rows, "wilson")


def split(counts: dict[str, tuple[int, int]], level: float = 0.05) -> dict[str, Segment]:
    hits, rows = (sum(pair[i] for pair in counts.values()) for i in (0, 1))
    return {
        name: Segment(accuracy(k, n, level), accuracy(hits - k, rows - n, level))
        for name, (k, n) in counts.items()
    }


def named(counts: dict[str, tuple[int, int]], better: Better = Better.HIGHER) -> Worst:
    found = worst(split(counts), better)
    assert found is not None
    return found


def test_the_worst_is_named_with_its_gap_to_the_rest() -> None:
    found = named({"a": (900, 1000), "b": (800, 1000), "c": (910, 1000)})

    assert (found.label, found.value, found.significant, found.compared) == ("b", 0.8, True, 3)
    assert found.against_rest.value == pytest.approx(0.8 - 0.905)


def test_an_improvement_is_not_the_worst() -> None:
    found = named({"a": (900, 1000), "b": (800, 1000), "c": (910, 1000)}, Better.LOWER)

    assert found.label == "c"


def test_a_description_has_no_worst() -> None:
    assert worst(split({"a": (9, 100), "b": (80, 100)}), Better.NEITHER) is None


def test_the_last_of_equals_is_named_but_not_significant() -> None:
    found = named({"a": (905, 1000), "b": (895, 1000), "c": (900, 1000)})

    assert (found.label, found.significant) == ("b", False)
    assert found.pvalue > 0.5


def test_a_small_noisy_segment_does_not_hide_a_large_bad_one() -> None:
    found = named({"many": (8000, 10_000), "rest": (9000, 10_000), "few": (47, 60)})

    assert (found.label, found.significant) == ("many", True)


def test_segments_with_too_few_rows_are_not_compared() -> None:
    found = named({"a": (900, 1000), "b": (890, 1000), "few": (0, 49)})

    assert (found.label, found.compared) == ("b", 2)


def test_nothing_is_named_where_no_segment_has_a_value() -> None:
    nothing = Estimate(None, None, None, 500)

    assert worst({"a": Segment(nothing, nothing)}, Better.HIGHER) is None
    assert worst({}, Better.HIGHER) is None


def test_the_number_of_segments_counts() -> None:
    found = [
        named({"bad": (868, 1000), **{str(i): (900, 1000) for i in range(others)}}) for others in (2, 40)
    ]

    assert [(one.label, one.significant) for one in found] == [("bad", True), ("bad", False)]


def test_significant_is_when_the_interval_leaves_out_0() -> None:
    named_so = [
        named({"bad": (hits, 1000), "a": (900, 1000), "b": (900, 1000)}) for hits in range(820, 900, 5)
    ]

    assert {found.significant for found in named_so} == {True, False}
    for found in named_so:
        assert found.against_rest.high is not None
        assert found.significant == (found.against_rest.high < 0.0) == (found.pvalue <= 0.05)


def test_the_interval_is_newcombes_where_the_estimates_were_made_at_the_shared_level() -> None:
    level = 0.05 / 2
    segments = split({"a": (56, 70), "b": (48, 80)}, level)
    found = worst(segments, Better.HIGHER, Search(made_at=level))
    assert found is not None
    own, rest = segments["b"].own, segments["b"].rest
    assert own.low is not None
    assert rest.high is not None

    low = -0.2 - np.hypot(0.6 - own.low, rest.high - 0.8)
    assert found.against_rest.low == pytest.approx(low)


def test_the_pvalue_is_near_that_of_the_two_sample_test() -> None:
    found = named({"bad": (4_330, 5_000), "a": (4_450, 5_000), "b": (4_450, 5_000)})
    table = [[4_330, 670], [8_900, 1_100]]
    exact = stats.chi2_contingency(table, correction=False).pvalue

    scores = [stats.norm.isf(p / 2) for p in (found.pvalue / 3, exact)]
    assert scores[0] == pytest.approx(scores[1], rel=0.03)


def test_no_spread_is_no_evidence() -> None:
    flat, other = Estimate(1.0, 1.0, 1.0, 100), Estimate(0.5, 0.5, 0.5, 100)
    found = worst({"a": Segment(other, flat)}, Better.HIGHER)
    assert found is not None

    assert (found.label, found.pvalue, found.significant) == ("a", 1.0, False)


def test_segments_alike_are_rarely_called_worse() -> None:
    rng, false = np.random.default_rng(1), 0
    for _ in range(200):
        hits = rng.binomial(500, 0.9, size=12)
        false += named({str(i): (int(k), 500) for i, k in enumerate(hits)}).significant

    assert false <= 200 * 0.05 + 3 * np.sqrt(200 * 0.05)
