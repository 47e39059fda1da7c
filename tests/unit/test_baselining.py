"""References made of the log: by command, by its first part, and taken on by a daemon at work."""

import json
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from monitor.baselining import Span, list_baselines, make_baseline
from monitor.clock import ManualClock
from monitor.config import Alarms, Columns, Config, Features, Monitor, Reference, Source
from monitor.config import Daemon as DaemonConfig
from monitor.core.state import ModelState, load_model
from monitor.daemon import Daemon
from monitor.errors import DriftdError, ReferenceUnusableError
from monitor.store.sqlite import SqliteStore
from tests.logs import EPOCH, SECOND, Row, frame_of, model

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def stamp(seconds: int) -> str:
    """Return the time so many seconds after EPOCH as ISO-8601."""
    return (datetime.fromtimestamp(EPOCH / 10**6, UTC) + timedelta(seconds=seconds)).isoformat()


def span(begin: int, end: int) -> Span:
    return Span.of(stamp(begin), stamp(end))


def project(folder: Path, **settings: Any) -> Config:  # noqa: ANN401 - fields of Model
    source = Source(role="predictions", type="files", path=str(folder / "*.jsonl"))
    known: dict[str, Any] = {"sources": (source,), "reference": Reference(first=timedelta(minutes=5))}
    made = model(**{**known, **settings})
    return Config(daemon=DaemonConfig(state=folder / "state"), models=(made,))


def write(folder: Path, rows: Sequence[Row], name: str = "log.jsonl", **extra: str) -> None:
    lines = [
        json.dumps({k: v for k, v in row.items() if v is not None})
        for row in frame_of(rows, extra).to_dicts()
    ]
    with (folder / name).open("a") as file:
        file.writelines(line + "\n" for line in lines)


def lived(config: Config, *, flush: bool = False) -> ModelState:
    """Let a daemon read all there is; returns its committed state."""
    with closing(SqliteStore(config.daemon.state)) as store:
        daemon = Daemon(config, store, ManualClock(NOW))
        try:
            assert not daemon.ingest().problem
            if flush:
                daemon.flush()
        finally:
            daemon.close()
    return stored(config)


def stored(config: Config) -> ModelState:
    with closing(SqliteStore(config.daemon.state)) as store:
        return load_model("m", store.load())


def rows(begin: int, end: int, name: str = "r", version: str = "v1") -> list[Row]:
    return [Row(f"{name}{i}", i, float(i % 11), version=version) for i in range(begin, end)]


def test_a_span_of_the_log_becomes_the_reference(tmp_path: Path) -> None:
    config = project(tmp_path)
    write(tmp_path, rows(0, 300), region="eu")
    said = make_baseline(config, "m", span(100, 200))
    (baseline,) = stored(config).baselines
    assert (baseline.number, baseline.rows, baseline.since) == (1, 100, 0)
    assert "100 rows" in said
    assert baseline.hash in said
    assert baseline.columns == {"id", "at", "x", "colour", "version", "place", "region"}
    assert baseline.from_log


def test_a_reference_made_twice_is_the_same_content_and_a_new_version(tmp_path: Path) -> None:
    config = project(tmp_path)
    write(tmp_path, rows(0, 300))
    write(tmp_path, rows(100, 150), "again.jsonl")  # sent twice: counted once
    make_baseline(config, "m", span(100, 200))
    make_baseline(config, "m", span(100, 200))
    first, second = stored(config).baselines
    assert (first.number, second.number) == (1, 2)
    assert first.hash == second.hash
    assert first.rows == 100
    lines = list_baselines(config)
    assert len(lines) == 2
    assert "<- in force" in lines[1]
    assert "<- in force" not in lines[0]


@pytest.mark.parametrize(
    "settings",
    [{"deduplicate": False}, {"columns": Columns(timestamp="at", timestamp_unit="us")}],
    ids=["switched off", "no ids"],
)
def test_rows_that_may_be_repeated_are_all_counted(tmp_path: Path, settings: dict[str, Any]) -> None:
    config = project(tmp_path, **settings)
    write(tmp_path, [Row("same", 10)] * 50)
    make_baseline(config, "m", span(0, 60))
    assert stored(config).baselines[0].rows == 50


def test_a_long_span_is_a_sample_whatever_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.core.learning.MOST_ROWS", 100)
    monkeypatch.setattr("monitor.core.learning.LEAST_ROWS", 10)
    hashes = set()
    for name in ("up", "down"):
        folder = tmp_path / name
        folder.mkdir()
        config = project(folder, deduplicate=False)
        log = [Row(f"r{i // 7}", i, float(i % 11)) for i in range(600)]  # seven rows have equal keys
        write(folder, log if name == "up" else log[::-1])
        make_baseline(config, "m", span(0, 600))
        hashes.add(stored(config).baselines[0].hash)
        assert stored(config).baselines[0].rows == 100
    assert len(hashes) == 1


def test_the_units_of_the_whole_log_hold_for_every_part(tmp_path: Path) -> None:
    columns = Columns(prediction_id="id", timestamp="at", timestamp_unit="auto")
    config = project(tmp_path, columns=columns)
    write(tmp_path, rows(0, 60))
    make_baseline(config, "m", span(0, 60))
    assert stored(config).baselines[0].rows == 60


def test_a_span_without_rows_is_refused_and_stores_nothing(tmp_path: Path) -> None:
    config = project(tmp_path)
    write(tmp_path, rows(0, 60))
    with pytest.raises(ReferenceUnusableError, match="m: the log has no rows from"):
        make_baseline(config, "m", span(100, 200))
    assert stored(config).baselines == ()
    assert list_baselines(config) == ["m: no reference stored yet"]


@pytest.mark.parametrize(
    ("begin", "end", "says"),
    [("2026-02-01", "2026-01-01", "not before"), ("yesterday", "2026-01-01", '"yesterday"')],
)
def test_a_span_that_is_none_is_one_clear_line(begin: str, end: str, says: str) -> None:
    with pytest.raises(DriftdError, match=says):
        Span.of(begin, end)


def test_a_span_without_a_zone_is_utc() -> None:
    assert Span.of("2026-01-01", "2026-01-02T00:00:00+02:00") == Span(
        Span.of("2026-01-01T00:00:00Z", "2027-01-01").begin,
        Span.of("2026-01-01T22:00:00Z", "2027-01-01").begin,
        "2026-01-01 to 2026-01-02T00:00:00+02:00",
    )


def test_an_unknown_model_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DriftdError, match='there is no model "other"; the configuration has m'):
        make_baseline(project(tmp_path), "other", span(0, 1))


def test_a_running_daemon_is_not_disturbed(tmp_path: Path) -> None:
    config = project(tmp_path)
    store = SqliteStore(config.daemon.state)
    with pytest.raises(DriftdError, match="another driftd"):
        make_baseline(config, "m", span(0, 1))
    store.close()


def test_a_reference_made_by_hand_ends_the_learning_and_judges_the_windows_to_come(tmp_path: Path) -> None:
    config = project(tmp_path)
    write(tmp_path, rows(0, 130))
    learning = lived(config)
    assert learning.learning
    assert not learning.baselines
    make_baseline(config, "m", span(0, 60))
    state = stored(config)
    assert not state.learning
    assert state.baselines[0].since == EPOCH + 180 * SECOND
    write(tmp_path, rows(130, 600))
    after = lived(config, flush=True)
    assert [b.number for b in after.baselines] == [1]
    assert after.book.total("stored") == 600
    assert after.book.windows_closed == 10
    assert {key.feature for key in after.trips} == {"_all", "x", "colour"}
    with closing(SqliteStore(config.daemon.state)) as store:
        assert not [key for key in store.load() if key[0] == "learning"]


def test_a_reference_learnt_from_the_log_is_never_learnt_again(tmp_path: Path) -> None:
    config = project(tmp_path)
    write(tmp_path, rows(0, 500))
    first = lived(config)
    write(tmp_path, rows(500, 900))
    again = lived(config)
    assert [b.hash for b in first.baselines] == [b.hash for b in again.baselines]
    assert (first.baselines[0].rows, first.baselines[0].since) == (300, EPOCH + 300 * SECOND)


def test_other_columns_than_the_learnt_reference_has_are_refused_until_there_is_a_new_one(
    tmp_path: Path,
) -> None:
    config = project(tmp_path)
    write(tmp_path, rows(0, 500))
    lived(config)
    narrow = project(tmp_path, features=Features(numeric=("x",)))
    with pytest.raises(
        ReferenceUnusableError, match=r"m: the stored reference watches other columns.*driftd baseline"
    ):
        lived(narrow)
    make_baseline(narrow, "m", span(300, 500))
    write(tmp_path, rows(500, 900))
    after = lived(narrow, flush=True)
    assert after.book.total("stored") == 900
    assert {f.name for f in after.baselines[-1].grid.features} == {"x"}


def test_heavy_monitors_learn_from_the_windows_of_a_reference_made_of_the_log(tmp_path: Path) -> None:
    settings = {"monitors": (Monitor(detector="cosine"),), "alarms": Alarms(min_rows=30)}
    config = project(tmp_path, reference=Reference(first=timedelta(minutes=21)), **settings)
    write(tmp_path, rows(0, 25 * 60))

    by_first = lived(config).heavy_nulls[1]
    make_baseline(config, "m", span(0, 24 * 60))
    by_command = stored(config).heavy_nulls[2]
    lived(config)

    assert {len(found) for found in by_first.pvalues.values()} == {21}
    assert not by_first.waiting
    assert len(by_command.waiting) == 24
    assert {len(found) for found in stored(config).heavy_nulls[2].pvalues.values()} == {24}


def test_another_file_is_another_version_for_the_windows_to_come(tmp_path: Path) -> None:
    for name, start in (("one", 0), ("two", 5)):
        frame_of(rows(start, start + 400)).write_parquet(tmp_path / f"{name}.parquet")
    one = project(tmp_path, reference=Reference(path=tmp_path / "one.parquet"))
    two = project(tmp_path, reference=Reference(path=tmp_path / "two.parquet"))
    write(tmp_path, rows(0, 130))
    assert [b.number for b in lived(one).baselines] == [1]
    assert [b.number for b in lived(one).baselines] == [1]
    write(tmp_path, rows(130, 170))
    state = lived(two)
    assert [(b.number, b.since) for b in state.baselines] == [(1, 0), (2, EPOCH + 180 * SECOND)]
    write(tmp_path, rows(170, 400))
    after = lived(two, flush=True)
    assert after.book.total("stored") == 400
    assert after.book.windows_closed == 7


def test_a_missing_reference_file_names_its_path(tmp_path: Path) -> None:
    config = project(tmp_path, reference=Reference(path=tmp_path / "gone.parquet"))
    with pytest.raises(ReferenceUnusableError, match=str(tmp_path / "gone.parquet")):
        lived(config)
    with closing(SqliteStore(config.daemon.state)) as store:  # and the folder is free again
        assert store.load() == {}
