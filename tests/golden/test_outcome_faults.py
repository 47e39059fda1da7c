"""Outcomes that come twice, changed, too late, for nobody, never or only half, to the real daemon."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from monitor.core.labels import ESTIMATED, REALIZED, Measured
from monitor.core.profiles import GroupKey
from tests.golden.outcome_logs import (
    DAY,
    MONTH,
    WEEK,
    Watched,
    config,
    delays,
    history,
    outcomes,
    spaced,
    windows_of,
)
from tests.golden.performance_oracles import agree_binary, binary

pytestmark = pytest.mark.acceptance

BINARY = """
prediction_id = "id"
timestamp = "timestamp"
prediction = "y_pred"
score = "score"
label = "label"
"""
SETTINGS = """
task = "binary"
window = "WINDOW"
lateness = "1h"
label_horizon = "HORIZON"
performance = { conflict = "POLICY" }"""
JUDGED = ("accuracy", "roc_auc", "estimated_accuracy")
BROKEN = (
    b'{"id": 50000, "timestamp": "2018-12-30T00:00:00Z", "label": "perhaps"}\n'
    b'{"id": 50001, "timestamp": "2018-12-30T00:00:00Z", "label": null}\n'
    b'{"timestamp": "2018-12-30T00:00:00Z", "label": 1}\n'
)


def watch(
    folder: Path,
    loans: pl.DataFrame,
    spans: tuple[str, str],
    conflict: str = "last",
    segments: Sequence[str] = (),
) -> Watched:
    """Watch the loans. spans: window and horizon."""
    settings = SETTINGS.replace("WINDOW", spans[0]).replace("HORIZON", spans[1]).replace("POLICY", conflict)
    text = config("loans", settings, f"{BINARY}segments = {list(segments)}", judged=JUDGED)
    return Watched.of(folder, "loans", text, loans.head(50_000))


def having(rows: pl.DataFrame, fault: int) -> pl.DataFrame:
    """Return every hundredth of the first 5,000 rows: those with one kind of fault."""
    return rows.head(5_000).filter(pl.int_range(pl.len()) % 100 == fault)


def faulty(rows: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return the outcomes of rows with every fault among the first 5,000, and what there is to count."""
    never, again, otherwise, before, beyond, early = (having(rows, fault) for fault in range(1, 7))
    special = pl.concat([never, before, beyond, early])["id"].implode()
    usual = rows.filter(~pl.col("id").is_in(special))
    unknown = rows.head(5_000).gather_every(20).with_columns(pl.col("id") + 10**7)
    log = [
        outcomes(usual, delays(usual.height)),
        outcomes(again, 22 * DAY),
        outcomes(otherwise.with_columns(label=1 - pl.col("label")), 23 * DAY),
        outcomes(before, -2 * DAY),
        outcomes(beyond, 31 * DAY),
        *(outcomes(early, -days * DAY) for days in (9, 8)),
        outcomes(unknown, delays(unknown.height, seed=4)),
    ]
    counts = {
        "joined": rows.height - never.height - beyond.height,
        "repeated": again.height + early.height,
        "conflicting": otherwise.height,
        "orphaned": beyond.height + unknown.height,
        "expired": never.height + beyond.height,
    }
    return pl.concat(log).sort("timestamp", "id"), counts


def known(rows: pl.DataFrame, conflict: str) -> pl.DataFrame:
    """Return the rows that have an outcome, each with the one that counts."""
    lost = pl.concat([having(rows, 1), having(rows, 5)])["id"].implode()
    changed = having(rows, 3)["id"].implode()
    won = pl.col("label") if conflict == "first" else 1 - pl.col("label")
    label = pl.when(pl.col("id").is_in(changed)).then(won).otherwise("label")
    return rows.filter(~pl.col("id").is_in(lost)).with_columns(label=label)


@pytest.mark.parametrize("conflict", ["last", "first"])
def test_every_fault_in_the_log_of_outcomes_is_counted(
    conflict: str, tmp_path: Path, loans: pl.DataFrame
) -> None:
    watched = watch(tmp_path, loans, ("7d", "30d"), conflict)
    rows = loans.slice(50_000, 20_000)
    told, counts = faulty(rows)
    now = rows["timestamp"][3_000]

    for part, options in ((pl.col("timestamp") < now, ()), (pl.col("timestamp") >= now, ("--flush",))):
        watched.log(predictions=rows.filter(part).drop("label"), outcomes=told.filter(part))
        if options:
            watched.project.append("outcomes.jsonl", BROKEN)
        watched.run(*options)

    state = watched.state
    assert state.labels.counts == counts
    samples = watched.project.samples()
    exported = {what: samples.get(f"driftd_labels_{what}_total", model="loans") for what in counts}
    assert exported == counts
    book = state.book.counts
    assert book["outcomes-1", "received", ""] == told.height + 3
    assert book["outcomes-1", "stored", ""] == told.height
    rejected = {reason: n for (_, what, reason), n in book.items() if what == "rejected"}
    assert rejected == {"unknown_label": 1, "missing_label": 1, "missing_id": 1}
    realised, windows = history(state, REALIZED), dict(windows_of(rows, WEEK))
    for start, part in windows_of(known(rows, conflict), WEEK):
        assert realised[start].coverage == part.height / windows[start].height
        agree_binary(realised[start], part)


def numbers(series: Iterable[Mapping[int, Measured]]) -> list[float]:
    """Return every value of every window and its interval, NaN where there is none."""
    measured = [one for windows in series for _, one in sorted(windows.items())]
    estimates = [found for one in measured for found in one.metrics.values()]
    return [np.nan if x is None else x for e in estimates for x in (e.value, e.low, e.high)]


def test_what_comes_after_a_window_was_judged_is_shown_as_if_it_had_come_in_time(
    tmp_path_factory: pytest.TempPathFactory, loans: pl.DataFrame
) -> None:
    rows = loans.slice(50_000, 10_000)
    slow = rows.gather_every(20)
    quick = rows.filter(~pl.col("id").is_in(slow["id"].implode()))
    shown = []
    for wait in (10 * DAY, DAY / 24):
        watched = watch(tmp_path_factory.mktemp("waits"), loans, ("7d", "30d"), segments=["salary_range"])
        told = pl.concat([outcomes(quick, DAY / 24), outcomes(slow, wait)]).sort("timestamp", "id")
        state = watched.log(predictions=rows.drop("label"), outcomes=told).run("--flush").state
        segments = [f"salary_range={value}" for value in rows["salary_range"].unique().sort()]
        shown.append(numbers(history(state, REALIZED, label) for label in ("all", *segments)))

    late, in_time = shown
    assert len(late) > 1_000
    np.testing.assert_allclose(late, in_time, rtol=1e-12)


def test_half_of_the_outcomes_say_nothing_until_the_horizon_is_over(
    tmp_path: Path, loans: pl.DataFrame
) -> None:
    """In the first window all wrong predictions are heard of first; in the second one half comes never."""
    watched = watch(tmp_path, loans, ("30d", "60d"))
    rows = spaced(loans.slice(50_000), MONTH, 5_000)
    first, second = rows.slice(0, 5_000), rows.slice(5_000, 5_000)
    worst_first = first.sort(pl.col("y_pred") == pl.col("label"), "timestamp")
    half = second.head(4_800).sample(2_500, seed=1)  # a day before the window's end at least
    starts = [start for start, _ in windows_of(rows.head(10_000), MONTH)]

    watched.log(outcomes=outcomes(pl.concat([worst_first.head(2_500), half]), DAY))
    watched.log(predictions=rows.head(12_000).drop("label")).run()

    state = watched.state
    assert [state.labels.records[GroupKey(s, "", "all")].coverage for s in starts] == [0.5, 0.5]
    assert history(state, ESTIMATED).keys() == set(starts)
    assert history(state, REALIZED) == {}
    samples, group = watched.project.samples(), {"model": "loans", "version": "", "segment": "all"}
    assert samples.get("driftd_label_coverage_ratio", **group) == 0.5
    assert samples.total("driftd_performance_value", basis="realized") == 0
    assert watched.started(*JUDGED) == []

    watched.log(outcomes=outcomes(worst_first.tail(2_500), 45 * DAY))
    watched.log(predictions=rows.slice(12_000, 11_000).drop("label")).run()

    realised = history(watched.state, REALIZED)
    assert [realised[start].coverage for start in starts] == [1, 0.5]
    for start, part in zip(starts, (first, half), strict=True):
        agree_binary(realised[start], part)
    wide, narrow = (realised[start].metrics["accuracy"] for start in (starts[1], starts[0]))
    assert (wide.n, narrow.n) == (2_500, 5_000)
    assert None not in (wide.low, wide.high, narrow.low, narrow.high)
    assert (wide.low or 1) < binary(second)["accuracy"] < (wide.high or 0)
    assert (wide.high or 0) - (wide.low or 0) > 1.3 * ((narrow.high or 0) - (narrow.low or 0))
    assert watched.started(*JUDGED) == []
    assert watched.project.notes() == []
