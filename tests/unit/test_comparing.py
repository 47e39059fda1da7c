"""What a window says of groups, of its worst segment, and of champion against challenger."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from detectors.challenger import Contest, LossSums
from monitor.config import Columns, Compare, Model, Performance, Reference, Source
from monitor.core.assessing import Assessor
from monitor.core.comparing import FAIRNESS, WORST, compared, contested, load_contest, plan_of
from monitor.core.labels import Labels, Measured, Record
from monitor.core.outcomes import Vocabulary
from monitor.core.plan import Plan
from monitor.core.profiles import ALL, GroupKey
from monitor.core.standard import Standard

STANDARD = Standard(1, {"place": ("north", "south", "west"), "group:sex": ("F", "M")})
WISH = Compare(champion="v1", challenger="v2")


def model(**settings: Any) -> Model:  # noqa: ANN401 - the fields of Model
    known: dict[str, Any] = {
        "name": "m",
        "task": "binary",
        "window": timedelta(hours=1),
        "columns": Columns(
            prediction_id="id", prediction="y", label="t", segments=("place",), groups=("sex",), version="v"
        ),
        "reference": Reference(path=Path("reference.parquet")),
        "sources": (Source(role="predictions", type="files", path="/logs/*.jsonl"),),
    }
    return Model(**{**known, **settings})


def assessor(**settings: Any) -> Assessor:  # noqa: ANN401 - the fields of Model
    made = model(**settings)
    return Assessor(Plan.of(made), Vocabulary.of(made))


def rows(seed: int, n: int, wrong: dict[str, float] | None = None) -> pl.DataFrame:
    """Return n predictions with outcomes; `wrong` sets how often the rows of a place or sex are wrong."""
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "segment:place": rng.choice(["north", "south", "west"], n),
            "group:sex": rng.choice(["F", "M"], n),
            "version": ["v1"] * n,
            "prediction": rng.integers(0, 2, n).astype(float),
        }
    )
    rate = np.full(n, 0.1)
    for value, share in (wrong or {}).items():
        rate[((frame["segment:place"] == value) | (frame["group:sex"] == value)).to_numpy()] = share
    flipped = rng.random(n) < rate
    return frame.with_columns(label=np.abs(frame["prediction"].to_numpy() - flipped))


def records(judge: Assessor, frame: pl.DataFrame) -> dict[str, Record]:
    measure, found = judge.bench(STANDARD).measure, {}
    scored = judge.vocabulary.scored(frame, frame["label"].to_numpy())
    for keys, codes in judge.grouped(STANDARD, frame, np.zeros(frame.height, np.int64)):
        sums = measure.sums(scored, codes, len(keys))
        opened = measure.open_sums(scored, codes, len(keys))
        for place, key in enumerate(keys):
            n = int(np.count_nonzero(codes == place))
            found[key.segment] = Record.of(n, n, sums[place], opened[place], judged=True)
    return found


def numbers(judge: Assessor, frame: pl.DataFrame) -> dict[tuple[str, str], Measured]:
    return {(label, basis): m for label, basis, m in compared(judge, STANDARD, records(judge, frame))}


def test_groups_have_the_rates_of_their_rows() -> None:
    frame = rows(1, 2000, {"F": 0.3})
    found = numbers(assessor(), frame)

    shares = {}
    for sex in ("F", "M"):
        part = frame.filter(pl.col("group:sex") == sex)
        true, told = part["label"].to_numpy() == 1, part["prediction"].to_numpy() == 1
        rates = found[f"group:sex={sex}", FAIRNESS].metrics
        assert rates["selection_rate"].value == pytest.approx(told.mean())
        assert rates["accuracy"].value == pytest.approx((true == told).mean())
        assert rates["true_positive_rate"].value == pytest.approx(told[true].mean())
        assert rates["false_positive_rate"].value == pytest.approx(told[~true].mean())
        shares[sex] = told[true].mean()
    gap = found["group:sex", FAIRNESS].metrics["equal_opportunity_difference"]
    assert gap.value == pytest.approx(shares["M"] - shares["F"])
    assert gap.low is not None
    assert gap.low > 0


def test_a_group_below_the_minimum_is_said_and_not_compared() -> None:
    frame = rows(2, 400).with_columns(
        pl.when(pl.int_range(pl.len()) < 380).then(pl.lit("M")).otherwise(pl.lit("F")).alias("group:sex")
    )
    found = numbers(assessor(), frame)

    small = found["group:sex=F", FAIRNESS]
    assert small.note == "insufficient_data"
    assert {e.value for e in small.metrics.values()} == {None}
    assert found["group:sex", FAIRNESS].note == "insufficient_data"
    assert found["group:sex=M", FAIRNESS].metrics["accuracy"].value is not None


def test_the_minimum_of_a_group_is_the_users() -> None:
    found = numbers(assessor(performance=Performance(min_group=2000)), rows(3, 2000))

    assert found["group:sex=M", FAIRNESS].note == "insufficient_data"


def test_groups_are_compared_for_two_classes_only() -> None:
    found = numbers(
        assessor(task="multiclass", performance=Performance(classes=("0", "1", "2"))), rows(4, 900)
    )

    assert not [key for key in found if key[1] == FAIRNESS]
    assert ("segment:place", WORST) in found


def test_the_worst_segment_is_named_with_its_gap_to_the_rest() -> None:
    frame = rows(5, 6000, {"south": 0.3})
    found = numbers(assessor(), frame)["segment:place", WORST]

    right = frame.with_columns(right=pl.col("label") == pl.col("prediction"))
    south = right.filter(pl.col("segment:place") == "south")["right"].mean()
    rest = right.filter(pl.col("segment:place") != "south")["right"].mean()
    assert isinstance(south, float)
    assert isinstance(rest, float)
    assert found.note == "place=south"
    assert found.metrics["accuracy"].value == pytest.approx(south - rest)
    assert found.metrics["accuracy"].high is not None
    assert found.metrics["accuracy"].high < 0


def test_no_segment_is_named_where_all_are_alike() -> None:
    named = [numbers(assessor(), rows(seed, 1500))["segment:place", WORST] for seed in range(100, 140)]

    assert {(m.note, len(m.metrics)) for m in named} == {("", 0)}


def test_a_window_without_records_says_nothing() -> None:
    assert list(compared(assessor(), STANDARD, {})) == []


def held(judge: Assessor, seeds: dict[str, int], *, judged: bool = True) -> Labels:
    found = {}
    for version, seed in seeds.items():
        record = records(judge, rows(seed, 500))[ALL]
        found[GroupKey(0, version, ALL)] = Record.of(500, 500, record.sums, record.open, judged=judged)
    return Labels(records=found)


def test_a_window_counts_in_the_contest_once_it_is_judged_of_both() -> None:
    judge = assessor(compare=WISH)
    both = held(judge, {"v1": 1, "v2": 2})

    assert contested(judge, held(judge, {"v1": 1}), STANDARD, 0, WISH).contest == ""
    assert contested(judge, held(judge, {"v1": 1, "v2": 2}, judged=False), STANDARD, 0, WISH).contest == ""
    after = contested(judge, both, STANDARD, 0, WISH)
    measure = judge.bench(STANDARD).measure
    arms = [LossSums(*measure.losses(both.records[GroupKey(0, v, ALL)].sums)) for v in ("v1", "v2")]
    assert load_contest(after.contest) == Contest().add(arms[0], arms[1], plan_of(WISH))


def test_the_loss_of_a_class_is_an_error_or_its_cost() -> None:
    frame = rows(6, 1000)
    wrong = int((frame["label"] != frame["prediction"]).sum())
    costs = Performance(costs=((0.0, 1.0), (5.0, 0.0)))
    plain, dear = assessor(), assessor(performance=costs)
    missed = int(((frame["label"] == 1) & (frame["prediction"] == 0)).sum())

    assert plain.bench(STANDARD).measure.losses(records(plain, frame)[ALL].sums) == (1000, wrong, wrong)
    told = dear.bench(STANDARD).measure.losses(records(dear, frame)[ALL].sums)
    assert told == (1000, wrong - missed + 5 * missed, wrong - missed + 25 * missed)
