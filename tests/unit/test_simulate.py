import json
import tomllib
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy import stats

from monitor.simulate import (
    CATEGORICAL,
    DAY,
    HOUR,
    LABEL,
    LOGS_KEPT_DAYS,
    NUMERIC,
    SEGMENTS,
    SHIFT,
    SHIFTED,
    SHIFTED_VERSION,
    VERSIONS,
    LiveLog,
    LiveModel,
    as_json_lines,
    write_reference,
)

ROOT = Path(__file__).parents[2]
START = 19_700 * DAY


@cache
def month(seed: int = 3, *, incident: bool = False) -> pl.DataFrame:
    return LiveModel(seed).rows(START, START + 30 * DAY, incident=incident)


def test_the_same_seed_and_slice_give_the_same_rows_and_another_seed_gives_others() -> None:
    rows = LiveModel(3).rows(START, START + DAY)

    assert_frame_equal(LiveModel(3).rows(START, START + DAY), rows)
    assert not LiveModel(4).rows(START, START + DAY).equals(rows)
    assert not LiveModel(3).rows(START + DAY, START + 2 * DAY)["income"].equals(rows["income"])


@pytest.mark.parametrize("incident", [False, True])
def test_slices_add_up_however_time_is_cut(*, incident: bool) -> None:
    model = LiveModel(3)
    cuts = sorted(np.random.default_rng(0).integers(START, START + 3 * DAY, 40).tolist())
    edges = [START, *cuts, START + 2 * DAY, START + 3 * DAY]
    edges.sort()

    parts = [model.rows(a, b, incident=incident) for a, b in pairwise(edges) if a < b]

    assert_frame_equal(pl.concat(parts), model.rows(START, START + 3 * DAY, incident=incident))


def test_an_empty_slice_has_no_row_and_all_columns() -> None:
    empty = LiveModel().rows(START, START)

    assert empty.height == 0
    assert empty.schema == LiveModel().rows(START, START + HOUR).schema


def test_times_lie_in_the_slice_ascend_and_ids_are_unique() -> None:
    rows = month()
    time = rows["timestamp"].to_physical()

    assert time.is_sorted()
    assert time.is_between(START, START + 30 * DAY, closed="left").all()
    assert rows["prediction_id"].is_unique().all()


def test_versions_and_segments_share_the_traffic_as_told() -> None:
    rows = month()

    for column, shares in (("model_version", VERSIONS), ("region", SEGMENTS)):
        counts = dict(rows.group_by(column).len().rows())
        assert counts.keys() == shares.keys()
        for value, share in shares.items():
            assert counts[value] / rows.height == pytest.approx(share, abs=0.01)


def test_traffic_has_a_daily_season() -> None:
    by_hour = month().group_by(pl.col("timestamp").dt.hour()).len().sort("timestamp")["len"].to_list()

    assert len(by_hour) == 24
    assert max(by_hour) > 4 * min(by_hour)
    assert by_hour.index(max(by_hour)) in range(12, 17)


def test_the_features_season_shows_by_the_hour_and_vanishes_over_a_whole_day() -> None:
    rows = month()
    hour = rows["timestamp"].dt.hour()
    morning, evening = rows.filter(hour == 6), rows.filter(hour == 18)
    whole = LiveModel(3).rows(START + 40 * DAY, START + 41 * DAY)

    assert stats.ks_2samp(morning["loan_amount"], evening["loan_amount"]).statistic > 0.1
    assert stats.ks_2samp(morning["income"], evening["income"]).statistic < 0.06
    for name in NUMERIC:
        assert stats.ks_2samp(rows[name], whole[name]).statistic < 0.03


def test_the_versions_are_alike_in_the_calm() -> None:
    rows = month()
    one, two = (rows.filter(pl.col("model_version") == version) for version in VERSIONS)

    for name in (*NUMERIC, "score"):
        assert stats.ks_2samp(one[name], two[name]).statistic < 0.02


def test_the_incident_shifts_only_its_features_and_only_in_its_version() -> None:
    calm, incident = month(), month(incident=True)
    hit = pl.col("model_version") == SHIFTED_VERSION
    untouched = [c for c in calm.columns if c not in {*SHIFTED, "prediction", "score"}]

    assert_frame_equal(incident.filter(~hit), calm.filter(~hit))
    assert_frame_equal(incident.select(untouched), calm.select(untouched))
    moved = incident.filter(hit)["debt_to_income"] - calm.filter(hit)["debt_to_income"]
    sd = calm["debt_to_income"].std()
    assert isinstance(sd, float)
    assert moved.to_numpy() / sd == pytest.approx(SHIFT, rel=0.02)
    for name in (*SHIFTED, "score"):
        assert stats.ks_2samp(incident.filter(hit)[name], calm.filter(hit)[name]).statistic > 0.25


def test_the_columns_are_those_of_the_demos_configuration() -> None:
    model = tomllib.loads((ROOT / "config.toml").read_text())["models"][0]
    columns, features = model["columns"], model["features"]
    rows = LiveModel().rows(START, START + DAY)

    assert tuple(features["numeric"]) == NUMERIC
    assert tuple(features["categorical"]) == CATEGORICAL
    assert len(NUMERIC + CATEGORICAL) == 8
    named = {columns[k] for k in ("prediction_id", "timestamp", "version", "prediction", "score")}
    assert named | set(columns["segments"]) | {*NUMERIC, *CATEGORICAL} == set(rows.columns)
    assert all(rows.schema[name] == pl.Float64 for name in NUMERIC)
    assert all(rows.schema[name] == pl.String for name in CATEGORICAL)


def test_the_score_is_a_probability_and_the_prediction_follows_it() -> None:
    rows = month()

    assert rows["score"].is_between(0, 1).all()
    assert (
        rows.filter(pl.col("score").is_between(0.4999, 0.5001).not_())
        .select(((pl.col("score") >= 0.5) == (pl.col("prediction") == 1)).all())
        .item()
    )


def test_a_log_line_is_ordinary_json_with_an_iso_timestamp() -> None:
    rows = LiveModel().rows(START, START + HOUR)

    line = json.loads(as_json_lines(rows).splitlines()[0])

    assert list(line) == rows.columns
    assert line["timestamp"].endswith("Z")
    assert datetime.fromisoformat(line["timestamp"]) == rows["timestamp"][0]
    assert line["income"] == rows["income"][0]


def test_the_log_holds_each_row_once_in_a_file_per_day(tmp_path: Path) -> None:
    log = LiveLog(LiveModel(3), tmp_path, START)

    counts = [log.write(START + h * HOUR) for h in (7, 7, 20, 30, 49)]

    names = [datetime.fromtimestamp((START + d * DAY) / 10**6, UTC).date().isoformat() for d in range(3)]
    files = [tmp_path / f"predictions-{name}.jsonl" for name in names]
    assert sorted(tmp_path.iterdir()) == files
    written = b"".join(file.read_bytes() for file in files)
    assert written == as_json_lines(LiveModel(3).rows(START, START + 49 * HOUR))
    assert counts[1] == 0
    assert sum(counts) == len(written.splitlines())


def test_the_log_is_calm_up_to_the_incident_and_shifted_after_it(tmp_path: Path) -> None:
    log, model = LiveLog(LiveModel(3), tmp_path, START), LiveModel(3)

    log.write(START + 5 * HOUR)
    log.write(START + 9 * HOUR, incident=True)

    (file,) = tmp_path.iterdir()
    calm = model.rows(START, START + 5 * HOUR)
    shifted = model.rows(START + 5 * HOUR, START + 9 * HOUR, incident=True)
    assert file.read_bytes() == as_json_lines(pl.concat([calm, shifted]))


def test_old_logs_are_deleted(tmp_path: Path) -> None:
    log = LiveLog(LiveModel(3, rows_per_day=10), tmp_path, START)

    log.write(START + (LOGS_KEPT_DAYS + 15) * DAY)

    assert len(list(tmp_path.iterdir())) == LOGS_KEPT_DAYS


def test_the_reference_is_the_calm_rows_as_parquet(tmp_path: Path) -> None:
    path = tmp_path / "reference.parquet"

    count = write_reference(LiveModel(3), path, START, START + 2 * DAY)

    rows = LiveModel(3).labelled(START, START + 2 * DAY)
    assert count == rows.height
    assert_frame_equal(pl.read_parquet(path), rows)
    assert {LABEL, "score", "prediction"} < set(rows.columns)
