"""`driftd check` on streams: what is watched, at what cost, and how often the reference itself alarms."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from monitor.replaying import MOST_ROWS, SECONDS
from tests.unit.test_checking import BASE, FIRST, said

ROWS = 4_000


def stream(detector: str, rest: str = "") -> str:
    return f'\n[[models.monitors]]\ndetector = "{detector}"\n{rest}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a reference of calm errors whose x changes in the middle."""
    rng = np.random.default_rng(1)
    score = rng.random(ROWS)
    frame = pl.DataFrame(
        {
            "x": rng.normal(size=ROWS) + np.repeat([0.0, 3.0], ROWS // 2),
            "w": rng.normal(size=ROWS),
            "p": score,
            "y": (score >= 0.5) * 1,
            "l": (rng.random(ROWS) < score) * 1,
        }
    )
    frame.write_parquet(tmp_path / "reference.parquet")
    return tmp_path


def lines(folder: Path, text: str) -> list[str]:
    return [line.removeprefix("stream: ") for line in said(folder, text) if line.startswith("stream: ")]


def test_the_errors_are_watched_by_default(folder: Path) -> None:
    (line,) = lines(folder, BASE)

    assert line == (
        "e_sr on _error, 0.2 us a row; the reference replayed (4,000 rows): no false alarm; "
        "one in 1,000,000 rows allowed, and a mean that moves by 0.01"
    )


def test_features_are_told_together_and_the_alarms_counted(folder: Path) -> None:
    (line,) = lines(folder, BASE + stream("adwin", 'on = "numeric"'))

    found = re.fullmatch(
        r"adwin on x, w, 0.2 us a row; the reference replayed \(4,000 rows of each\): "
        r"(\d) false alarms, one in [\d,]+ rows, most on x",
        line,
    )
    assert found
    assert int(found[1]) >= 1


def test_outcomes_that_the_reference_has_not_are_said_to_be_missing(folder: Path) -> None:
    path = folder / "reference.parquet"
    pl.read_parquet(path).drop("l").write_parquet(path)

    (line,) = lines(folder, BASE + stream("e_sr"))

    assert line == "e_sr on _error, 0.2 us a row; NOT JUDGED: the reference has no outcomes"


def test_without_a_file_there_is_nothing_to_replay(tmp_path: Path) -> None:
    text = BASE.replace('reference = { path = "reference.parquet" }', FIRST)

    (line,) = lines(tmp_path, text + stream("adwin", 'on = ["x"]'))

    assert line == "adwin on x, 0.2 us a row; no file to say how often it alarms"


def test_a_dear_detector_goes_over_fewer_rows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.replaying.SECONDS", 0.1)

    (line,) = lines(folder, BASE + stream("kswin", 'on = ["w"]'))

    assert "the reference replayed (370 rows)" in line
    assert SECONDS * 1e6 / 270 < MOST_ROWS


def test_a_reference_with_times_is_replayed_in_their_order(folder: Path) -> None:
    path = folder / "reference.parquet"
    frame = pl.read_parquet(path).with_columns(at=pl.int_range(ROWS) + 1_700_000_000)
    frame.sample(fraction=1.0, shuffle=True, seed=1).write_parquet(path)
    timed = BASE.replace(
        'columns = { prediction_id = "i"', 'columns = { prediction_id = "i", timestamp = "at"'
    )
    wish = stream("adwin", 'on = ["x"]')

    (ordered,), (shuffled,) = lines(folder, timed + wish), lines(folder, BASE + wish)

    assert "false alarms, one in" in ordered
    assert "no false alarm" in shuffled
