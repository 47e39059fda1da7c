"""Parquet and Arrow IPC files: rows in slices, each decoded once; unreadable ones rejected as a unit."""

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from monitor.sources.files import FilesSource, Format
from monitor.sources.footer import row_group_sizes
from monitor.sources.reading import Limits
from monitor.types import Batch, Chunk, Position

Open = Callable[..., FilesSource]
FORMATS: tuple[Format, ...] = ("parquet", "ipc")


def peek(chunk: Chunk) -> int | None:
    assert isinstance(chunk.data, pl.DataFrame)
    assert chunk.data.height == 1
    return int(chunk.data["t"][0])


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Open]:
    opened: list[FilesSource] = []

    def make(form: Format, **limits: int) -> FilesSource:
        opened.append(FilesSource("logs", f"{tmp_path}/*.col", form, peek, Limits(**limits)))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def write(path: Path, times: range, form: Format = "parquet", group: int | None = None) -> None:
    frame = pl.DataFrame({"t": times, "text": [str(time) for time in times]})
    if form == "ipc":
        frame.write_ipc(path)
    else:
        frame.write_parquet(path, row_group_size=group)


def read(source: FilesSource, after: Position | None = None) -> list[Batch]:
    batches: list[Batch] = []
    position = after or Position()
    while (batch := source.poll(position, 10**9)) is not None:
        batches.append(batch)
        position = batch.position
    return batches


def chunks(batches: list[Batch]) -> list[tuple[str, int, list[int], int | None]]:
    return [
        (Path(chunk.file).name, chunk.offset, chunk.data["t"].to_list(), chunk.hold)
        for batch in batches
        for chunk in batch.chunks
        if isinstance(chunk.data, pl.DataFrame)
    ]


@pytest.mark.parametrize("form", FORMATS)
def test_rows_come_in_slices_with_their_row_number(source: Open, tmp_path: Path, form: Format) -> None:
    write(tmp_path / "a.col", range(10), form)
    got = chunks(read(source(form, rows=4)))
    assert [row for _, _, rows, _ in got for row in rows] == list(range(10))
    assert [offset for _, offset, _, _ in got] == [rows[0] for _, _, rows, _ in got]
    assert max(len(rows) for _, _, rows, _ in got) <= 4


@pytest.mark.parametrize("form", FORMATS)
def test_reading_goes_on_at_any_row(source: Open, tmp_path: Path, form: Format) -> None:
    write(tmp_path / "a.col", range(10), form)
    for limit in range(1, 10):
        first = source(form).poll(Position(), limit)
        assert first is not None
        rest = read(source(form), first.position)
        assert [row for _, _, rows, _ in chunks([first, *rest]) for row in rows] == list(range(10))


def test_slices_end_where_row_groups_end(source: Open, tmp_path: Path) -> None:
    write(tmp_path / "a.col", range(100), group=30)
    got = chunks(read(source("parquet", rows=70)))
    assert [(offset, len(rows)) for _, offset, rows, _ in got] == [(0, 60), (60, 40)]


def test_a_large_row_group_is_cut_into_equal_parts(source: Open, tmp_path: Path) -> None:
    write(tmp_path / "a.col", range(100), group=100)
    got = chunks(read(source("parquet", rows=40)))
    assert [(offset, len(rows)) for _, offset, rows, _ in got] == [(0, 34), (34, 34), (68, 32)]


def test_a_very_wide_file_comes_in_short_slices(source: Open, tmp_path: Path) -> None:
    pl.DataFrame({"t": range(100)} | {f"c{n}": [0.5] * 100 for n in range(99)}).write_parquet(
        tmp_path / "a.col"
    )
    assert max(len(rows) for _, _, rows, _ in chunks(read(source("parquet", bytes=8000)))) <= 10


@pytest.mark.parametrize("form", FORMATS)
def test_a_finished_file_is_not_read_again(source: Open, tmp_path: Path, form: Format) -> None:
    write(tmp_path / "a.col", range(10), form)
    position = read(source(form))[-1].position
    assert source(form).poll(position, 10) is None
    (tmp_path / "a.col").rename(tmp_path / "b.col")
    assert source(form).poll(position, 10) is None


@pytest.mark.parametrize("form", FORMATS)
def test_files_that_begin_and_end_alike_are_different_files(
    source: Open, tmp_path: Path, form: Format
) -> None:
    for number, name in enumerate(("a.col", "b.col")):
        middle = [0.0] * 5000 + [float(number)] * 100 + [0.0] * 5000
        frame = pl.DataFrame({"t": range(len(middle)), "x": middle, "tail": [0] * len(middle)})
        if form == "ipc":
            frame.write_ipc(tmp_path / name)
        else:
            frame.write_parquet(tmp_path / name, compression="uncompressed", statistics=False)
    rows = sum(len(rows) for _, _, rows, _ in chunks(read(source(form))))
    assert rows == 2 * 10_100


@pytest.mark.parametrize("form", FORMATS)
def test_an_empty_table_gives_nothing(source: Open, tmp_path: Path, form: Format) -> None:
    write(tmp_path / "a.col", range(0), form)
    assert read(source(form)) == []


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_still_being_written_is_waited_for(source: Open, tmp_path: Path, form: Format) -> None:
    write(tmp_path / "whole", range(10), form)
    content = (tmp_path / "whole").read_bytes()
    path = tmp_path / "a.col"
    follower = source(form)
    for end in (1, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:end])
        assert follower.poll(Position(), 100) is None
    path.write_bytes(content)
    assert [len(rows) for _, _, rows, _ in chunks(read(follower))] == [10]


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_that_stays_unreadable_is_rejected_once(source: Open, tmp_path: Path, form: Format) -> None:
    (tmp_path / "a.col").write_bytes(b"PAR1 no such thing")
    write(tmp_path / "b.col", range(3), form)
    follower = source(form)
    first = follower.poll(Position(), 100)
    assert first is not None
    assert not first.rejects
    second = follower.poll(first.position, 100)
    assert second is not None
    assert [(Path(r.file).name, r.offset, r.reason) for r in second.rejects] == [
        ("a.col", 0, "unreadable_file")
    ]
    assert follower.poll(second.position, 100) is None
    assert source(form).poll(second.position, 100) is None


def test_damage_in_the_middle_ends_the_file_with_a_reject(source: Open, tmp_path: Path) -> None:
    path = tmp_path / "a.col"
    frame = pl.DataFrame({"t": range(40_000), "text": [f"row {number:09}" for number in range(40_000)]})
    frame.write_parquet(path, row_group_size=10_000, compression="zstd")
    content = bytearray(path.read_bytes())
    middle = len(content) * 5 // 8  # in the third of four row groups
    content[middle : middle + 20_000] = b"\x55" * 20_000
    path.write_bytes(bytes(content))
    follower = source("parquet", rows=10_000)
    batches = read(follower)
    batches += read(follower, batches[-1].position)  # the second look at an unchanged file gives it up
    rows = sum(len(rows) for _, _, rows, _ in chunks(batches))
    rejects = [(reject.offset, reject.reason) for batch in batches for reject in batch.rejects]
    assert 0 < rows < 40_000
    assert rejects == [(rows, "unreadable_file")]
    assert source("parquet").poll(batches[-1].position, 10) is None


@pytest.mark.parametrize("form", FORMATS)
def test_columnar_files_are_ordered_by_their_next_row(source: Open, tmp_path: Path, form: Format) -> None:
    write(tmp_path / "a.col", range(10, 20), form)
    write(tmp_path / "b.col", range(10), form)
    got = chunks(read(source(form, rows=6)))
    assert [row for _, _, rows, _ in got for row in rows] == list(range(20))
    assert [hold for name, _, _, hold in got if name == "b.col"] == [10, 10]


def test_row_groups_are_found_in_the_footer(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    frame = pl.DataFrame(
        {f"column_{n}": range(1003) for n in range(40)} | {"s": ["x"] * 1003, "b": [True] * 1003}
    )
    frame.write_parquet(path, row_group_size=100)
    with path.open("rb") as file:
        assert row_group_sizes(file) == (100,) * 10 + (3,)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 100, b"\x19\x7c" + b"\x02\x00\x00\x00PAR1"])
def test_an_unreadable_footer_has_no_row_groups(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    with path.open("rb") as file:
        assert row_group_sizes(file) == ()
