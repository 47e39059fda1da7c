"""A daemon whose commits fail: what waits on the disk is what the store names, and reading goes on later."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest

from monitor.clock import ManualClock
from monitor.config import Columns, Config, Features, Model, Reference, Source
from monitor.config import Daemon as DaemonConfig
from monitor.core.state import PILES, ModelState, load_model
from monitor.daemon import Daemon
from monitor.errors import StoreUnavailableError
from monitor.shelves import FOLDER
from monitor.store.segments import BESIDE, Note, Segments
from monitor.store.sqlite import SqliteStore
from monitor.types import EntryKey

BEGIN, NOW = datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 1, 3, tzinfo=UTC)
FILES, ROWS = 6, 15_000
"""Files of one batch, and rows in each: enough for a file of waiting rows, merged several times."""
ROLES: tuple[Literal["predictions", "outcomes"], ...] = ("predictions", "outcomes")
Trouble = Callable[[], BaseException]


def answered(rows: int, first: int = 0) -> pl.DataFrame:
    """Return predictions and what became of them, all of one day."""
    random = np.random.default_rng(first)
    score = random.random(rows)
    step = timedelta(hours=20) / (FILES * ROWS)
    return pl.DataFrame(
        {
            "id": [f"id-{first + i}" for i in range(rows)],
            "at": [BEGIN + (first + i) * step for i in range(rows)],
            "x": random.normal(size=rows),
            "y": (score > 0.5).astype(int),
            "p": score,
            "label": (random.random(rows) < score).astype(int),
        }
    )


def project(folder: Path) -> Config:
    """Write a reference, predictions in several files and some outcomes; returns the configuration."""
    answered(2000).write_parquet(folder / "reference.parquet")
    for number in range(FILES):
        frame = answered(ROWS, number * ROWS)
        frame.drop("label").write_parquet(folder / f"predictions-{number}.parquet")
    answered(ROWS).select("id", "at", "label").write_parquet(folder / "outcomes-0.parquet")
    made = Model(
        name="m",
        task="binary",
        window=timedelta(days=1),
        lateness=timedelta(hours=1),
        label_horizon=timedelta(days=10),
        columns=Columns(prediction_id="id", timestamp="at", prediction="y", score="p", label="label"),
        features=Features(numeric=("x",)),
        reference=Reference(path=folder / "reference.parquet"),
        sources=tuple(
            Source(role=role, type="files", path=str(folder / f"{role}-*.parquet"), format="parquet")
            for role in ROLES
        ),
    )
    return Config(daemon=DaemonConfig(state=folder / "state"), models=(made,))


def full() -> BaseException:
    return StoreUnavailableError("the disk is full")


def unsynced() -> BaseException:
    cause = sqlite3.OperationalError()
    cause.sqlite_errorname = "SQLITE_IOERR_FSYNC"
    error = StoreUnavailableError("disk I/O error")
    error.__cause__ = cause
    return error


class Failing(SqliteStore):
    """Fails the commits that name waiting rows. recorded: they happened all the same, as a crash shows."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.trouble: Trouble | None = None
        self.recorded = False

    def commit(self, changes: Mapping[EntryKey, bytes | None]) -> None:
        """Commit, or fail."""
        failing = self.trouble if any(key[0] in PILES for key in changes) else None
        if failing is None or self.recorded:
            super().commit(changes)
        if failing is not None:
            raise failing()


@contextmanager
def alive(config: Config) -> Iterator[tuple[Daemon, Failing]]:
    """Run a daemon whose store can be made to fail."""
    with closing(Failing(config.daemon.state)) as store:
        daemon = Daemon(config, store, ManualClock(NOW))
        try:
            yield daemon, store
        finally:
            daemon.close()


def files(config: Config) -> set[str]:
    return {path.name for path in (config.daemon.state / FOLDER / "m").glob("*")}


def named(store: SqliteStore) -> set[str]:
    """Return the files that the store names."""
    values = [value for key, value in store.load().items() if key[0] in PILES]
    return {Note.load(value).file for value in values if value.startswith(BESIDE)}


def stored(config: Config) -> ModelState:
    with closing(SqliteStore(config.daemon.state)) as store:
        return load_model("m", store.load(), Segments(config.daemon.state / FOLDER / "m").reopen)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return project(tmp_path)


def test_runs_merged_within_a_commit_leave_no_files(config: Config) -> None:
    with alive(config) as (daemon, store):
        assert not daemon.ingest().problem

        assert files(config) == named(store) != set()
    assert stored(config).labels.predictions.rows == FILES * ROWS


def test_commits_that_fail_leave_no_files_and_say_the_same(config: Config) -> None:
    with alive(config) as (daemon, store):
        store.trouble = full
        problems = {daemon.ingest().problem for _ in range(3)}

        assert problems == {"the disk is full"}
        assert files(config) == named(store) == set()


def test_reading_goes_on_when_there_is_room(config: Config) -> None:
    with alive(config) as (daemon, store):
        store.trouble = full
        daemon.ingest()
        store.trouble = None
        assert not daemon.ingest().problem

        assert files(config) == named(store) != set()
    labels = stored(config).labels
    assert (labels.predictions.rows, labels.outcomes.rows) == (FILES * ROWS, ROWS)


def test_rows_that_find_no_room_leave_no_files_and_say_the_same(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, calls = Segments.keep, []

    def second(self: Segments, frame: pl.DataFrame) -> tuple[pl.DataFrame, bytes]:
        calls.append(frame.height)
        if len(calls) % 2 == 0:
            raise StoreUnavailableError("no room")
        return keep(self, frame)

    monkeypatch.setattr(Segments, "keep", second)
    with alive(config) as (daemon, _):
        problems = {daemon.ingest().problem for _ in range(2)}

        assert problems == {"no room"}
        assert len(calls) >= 4
        assert files(config) == set()


def test_a_fault_of_ours_leaves_no_files(config: Config) -> None:
    with alive(config) as (daemon, store):
        store.trouble = ZeroDivisionError
        daemon.ingest()
        store.trouble = full
        daemon.ingest()
        store.trouble = None
        assert not daemon.ingest().problem

        assert files(config) == named(store) != set()


def test_a_commit_that_comes_back_after_a_crash_finds_its_files(config: Config) -> None:
    with alive(config) as (daemon, store):
        store.trouble, store.recorded = unsynced, True
        assert daemon.ingest().problem == "disk I/O error"

    with alive(config) as (daemon, store):
        assert not daemon.ingest().problem
        assert files(config) == named(store) != set()
    assert stored(config).labels.predictions.rows == FILES * ROWS
