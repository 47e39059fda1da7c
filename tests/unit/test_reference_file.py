"""A reference's file is read once for all who learn from it, and gives what reading it for each would."""

from pathlib import Path

import polars as pl
import pytest

from monitor.config import Columns, Model, Reference
from monitor.errors import ReferenceUnusableError
from monitor.reference_file import ReferenceFile
from monitor.references import baseline_of, schema_of, timed_rows
from tests.laws.test_nulls_laws import TIMED
from tests.logs import model

HOUR = 3_600_000_000
NAMED = TIMED.with_columns(pl.int_range(pl.len()).cast(pl.String).alias("id"))


def of(path: Path, columns: Columns) -> tuple[Model, ReferenceFile]:
    made = model(columns=columns, reference=Reference(path=path))
    return made, ReferenceFile(made, path)


@pytest.mark.parametrize("identity", ["id", ""])
def test_one_reading_gives_the_baseline_and_the_rows_at_their_times(tmp_path: Path, identity: str) -> None:
    path = tmp_path / "r.parquet"
    NAMED.write_parquet(path)
    made, file = of(path, Columns(prediction_id=identity, timestamp="at"))
    schema = schema_of(made, NAMED)
    rows, wanted = file.rows(HOUR), timed_rows(schema, NAMED, file.origin, HOUR)

    assert file.baseline.dump() == baseline_of(schema, NAMED, file.origin).dump()
    assert file.made(file.baseline)
    assert rows.frame.equals(wanted.frame)
    assert (rows.start.tolist(), rows.keys.tolist()) == (wanted.start.tolist(), wanted.keys.tolist())


def test_a_file_that_was_written_since_is_in_another_state(tmp_path: Path) -> None:
    path, columns = tmp_path / "r.parquet", Columns(timestamp="at")
    TIMED.write_parquet(path)
    _, before = of(path, columns)
    read = before.frame
    TIMED.tail(10).write_parquet(path)
    _, after = of(path, columns)

    assert before.stamp != after.stamp
    assert before.frame is read
    assert not after.made(before.baseline)


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    _, file = of(tmp_path / "r.parquet", Columns())

    with pytest.raises(
        ReferenceUnusableError, match=r"r\.parquet: the reference cannot be read: No such file"
    ):
        _ = file.frame
