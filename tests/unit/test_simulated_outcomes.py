import json
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy import stats

from monitor.service import (
    AGAIN,
    CLOCKS_APART,
    HASTY,
    LATEST,
    NEVER,
    RESENT_WITHIN,
    SOONEST,
    LiveService,
    OutcomeLog,
    outcomes,
)
from monitor.simulate import DAY, HOUR, LABEL, LOGS_KEPT_DAYS, LiveLog, LiveModel

START = 19_700 * DAY
MODEL = LiveModel(3)


@cache
def predictions(days: int = 20, *, incident: bool = False, concept: bool = False) -> pl.DataFrame:
    return MODEL.labelled(START, START + days * DAY, incident=incident, concept=concept)


@cache
def known(days: int = 20, *, incident: bool = False, concept: bool = False) -> pl.DataFrame:
    return outcomes(MODEL, START, START + days * DAY, incident=incident, concept=concept)


@cache
def delays() -> pl.DataFrame:
    """Each outcome's delay in microseconds, first and second ones apart."""
    made = predictions().select("prediction_id", made="timestamp")
    delay = (pl.col("timestamp") - pl.col("made")).dt.total_microseconds()
    nth = pl.int_range(pl.len()).over("prediction_id")
    return known().join(made, on="prediction_id").with_columns(delay=delay, nth=nth)


def lines(folder: Path, stem: str = "outcomes") -> list[dict[str, object]]:
    files = sorted(folder.glob(f"{stem}-*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def logged(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.glob("outcomes-*.jsonl")))


def expected(until: int, frame: pl.DataFrame) -> list[tuple[str, int]]:
    """Return what a log from START to `until` holds of these outcomes."""
    due = frame.filter(pl.col("timestamp").to_physical().is_between(START, until, closed="left"))
    return list(due.select("prediction_id", LABEL).iter_rows())


def test_every_outcome_is_of_a_prediction_and_has_its_value() -> None:
    both = known().join(predictions(), on="prediction_id", how="left", suffix="_true")

    assert both["model_version"].null_count() == 0
    assert (both[LABEL] == both[f"{LABEL}_true"]).all()


def test_a_few_outcomes_never_come_and_a_few_come_twice_with_the_same_value() -> None:
    times = known().group_by("prediction_id").agg(pl.len(), pl.col(LABEL).n_unique().alias("values"))
    n = predictions().height

    assert 1 - times.height / n == pytest.approx(NEVER, rel=0.2)
    assert (times["len"] == 2).sum() / n == pytest.approx(AGAIN, rel=0.2)
    assert times["len"].max() == 2
    assert times["values"].max() == 1


def test_delays_lie_in_their_bounds() -> None:
    first = delays().filter(pl.col("nth") == 0)["delay"]
    late, hasty = first.filter(first > 0), first.filter(first <= 0)

    assert late.is_between(SOONEST, LATEST).all()
    assert hasty.is_between(-CLOCKS_APART, 0).all()
    assert hasty.len() / first.len() == pytest.approx(HASTY, rel=0.2)


def test_a_second_outcome_comes_after_the_first_and_soon() -> None:
    pairs = delays().filter(pl.len().over("prediction_id") == 2).sort("prediction_id", "nth")
    gap = pairs["delay"].gather_every(2, 1) - pairs["delay"].gather_every(2)

    assert gap.is_between(0, RESENT_WITHIN).all()
    assert gap.min() != 0


def test_most_outcomes_come_within_a_day_and_most_predictions_get_one() -> None:
    first = delays().filter(pl.col("nth") == 0)["delay"].to_numpy()

    assert np.mean(first < DAY) > 0.8
    assert np.quantile(first, 0.9) < 30 * HOUR


def test_which_outcomes_come_early_says_nothing_about_their_value() -> None:
    first = delays().filter((pl.col("nth") == 0) & (pl.col("delay") > 0))
    one, zero = (first.filter(pl.col(LABEL) == value)["delay"] for value in (1, 0))

    assert stats.ks_2samp(one, zero).pvalue > 0.001


def test_outcomes_come_in_the_order_of_their_times() -> None:
    assert known()["timestamp"].is_sorted()


def test_the_same_seed_gives_the_same_outcomes_and_another_seed_gives_others() -> None:
    assert_frame_equal(outcomes(LiveModel(3), START, START + DAY), known(1))
    assert not outcomes(LiveModel(4), START, START + DAY).equals(known(1))


def test_outcomes_of_slices_add_up() -> None:
    cuts = [START, START + HOUR, START + 30 * HOUR, START + 30 * HOUR + 1, START + 3 * DAY]

    parts = [outcomes(MODEL, a, b) for a, b in pairwise(cuts)]

    assert_frame_equal(pl.concat(parts).sort("timestamp", "prediction_id"), known(3))


def test_no_time_has_no_outcomes_and_all_columns() -> None:
    empty = outcomes(MODEL, START, START)

    assert empty.height == 0
    assert empty.schema == known(1).schema


def test_the_incidents_change_neither_delays_nor_what_is_missing() -> None:
    for other in (known(incident=True), known(concept=True)):
        assert_frame_equal(other.drop(LABEL), known().drop(LABEL))
        assert not other[LABEL].equals(known()[LABEL])


def test_the_log_holds_what_is_known_by_then_in_the_order_of_time(tmp_path: Path) -> None:
    until = START + 3 * DAY + 5 * HOUR

    count = OutcomeLog(MODEL, tmp_path, START).write(until)

    found = lines(tmp_path)
    times = [datetime.fromisoformat(str(line["timestamp"])) for line in found]
    assert times == sorted(times)
    assert [(line["prediction_id"], line[LABEL]) for line in found] == expected(until, known(4))
    assert count == len(found) > 10_000


def test_a_log_line_is_ordinary_json_with_an_iso_timestamp(tmp_path: Path) -> None:
    OutcomeLog(MODEL, tmp_path, START).write(START + DAY)

    line = lines(tmp_path)[0]

    assert list(line) == ["prediction_id", "timestamp", LABEL]
    assert str(line["timestamp"]).endswith("Z")
    assert line[LABEL] in {0, 1}


def test_there_is_a_file_per_day_of_the_outcomes_time(tmp_path: Path) -> None:
    OutcomeLog(MODEL, tmp_path, START).write(START + 2 * DAY + HOUR)

    dates = [datetime.fromtimestamp((START + d * DAY) / 10**6, UTC).date().isoformat() for d in range(3)]
    assert sorted(tmp_path.iterdir()) == [tmp_path / f"outcomes-{date}.jsonl" for date in dates]
    for date in dates:
        text = (tmp_path / f"outcomes-{date}.jsonl").read_text()
        assert {json.loads(line)["timestamp"][:10] for line in text.splitlines()} == {date}


def test_the_log_is_the_same_however_often_it_is_written(tmp_path: Path) -> None:
    once, often = tmp_path / "once", tmp_path / "often"
    cuts = sorted(np.random.default_rng(0).integers(START, START + 3 * DAY, 20).tolist())
    for folder, times in ((once, []), (often, cuts)):
        folder.mkdir()
        log = OutcomeLog(MODEL, folder, START)
        counts = [log.write(until) for until in (*times, START + 3 * DAY)]
        assert sum(counts) == len(lines(folder))

    assert logged(often) == logged(once)


def test_time_that_does_not_move_writes_nothing(tmp_path: Path) -> None:
    log = OutcomeLog(MODEL, tmp_path, START)
    log.write(START + DAY)

    assert log.write(START + DAY) == 0
    assert log.write(START) == 0


def test_an_outcome_follows_what_held_when_its_prediction_was_made(tmp_path: Path) -> None:
    begin, until = START + 2 * DAY, START + 5 * DAY
    log = OutcomeLog(MODEL, tmp_path, START)

    log.write(begin)
    log.write(until, concept=True)

    # The log looks ahead by CLOCKS_APART, so the incident begins there.
    before = pl.concat([known(2), outcomes(MODEL, begin, begin + CLOCKS_APART)])
    after = outcomes(MODEL, begin + CLOCKS_APART, until + DAY, concept=True)
    whole = pl.concat([before, after]).sort("timestamp", "prediction_id")
    assert [(line["prediction_id"], line[LABEL]) for line in lines(tmp_path)] == expected(until, whole)


def test_old_logs_are_deleted(tmp_path: Path) -> None:
    OutcomeLog(LiveModel(3, rows_per_day=50), tmp_path, START).write(START + (LOGS_KEPT_DAYS + 9) * DAY)

    assert len(list(tmp_path.iterdir())) == LOGS_KEPT_DAYS


def test_the_service_writes_both_logs(tmp_path: Path) -> None:
    apart, service = tmp_path / "apart", tmp_path / "service"
    apart.mkdir()
    service.mkdir()
    live, both = (
        LiveService(MODEL, service, START),
        (LiveLog(MODEL, apart, START), OutcomeLog(MODEL, apart, START)),
    )

    counts = [live.write(START + DAY), live.write(START + 2 * DAY, incident=True, concept=True)]

    for log in both:
        log.write(START + DAY)
    both[0].write(START + 2 * DAY, incident=True)
    both[1].write(START + 2 * DAY, incident=True, concept=True)
    names = sorted(file.name for file in apart.iterdir())
    assert sorted(file.name for file in service.iterdir()) == names
    assert all((service / name).read_bytes() == (apart / name).read_bytes() for name in names)
    assert sum(counts) == len(lines(service, "predictions"))
