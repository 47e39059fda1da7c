"""Whole lines only, in bounded memory, from plain and compressed files (faults 8-10)."""

import gzip
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard

from monitor.core.newlines import newlines_by_block
from monitor.sources.files import FilesSource, Format
from monitor.sources.reading import Limits
from monitor.types import Batch, Chunk, Position, Reject

Open = Callable[..., FilesSource]
MIB = 2**20


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Open]:
    opened: list[FilesSource] = []

    def make(form: Format = "jsonl", limits: Limits | None = None) -> FilesSource:
        pattern = f"{tmp_path}/a.*"
        opened.append(FilesSource("logs", pattern, form, lambda _: None, limits or Limits()))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def read(source: FilesSource, after: Position | None = None) -> tuple[list[Chunk], list[Reject], Position]:
    """Poll to the end, and once more for what has to be unchanged for a poll before it is given up."""
    chunks: list[Chunk] = []
    rejects: list[Reject] = []
    position = after or Position()
    for _ in range(2):
        while (batch := source.poll(position, 10**9)) is not None:
            chunks += batch.chunks
            rejects += batch.rejects
            position = batch.position
    return chunks, rejects, position


def text(chunks: list[Chunk]) -> bytes:
    return b"".join(chunk.data for chunk in chunks if isinstance(chunk.data, bytes))


def write(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_a_line_waits_for_its_newline_even_inside_a_character(source: Open, tmp_path: Path) -> None:
    follower = source()
    line = '{"a": "é"}\n'.encode()
    position = Position()
    for at in range(len(line)):
        assert follower.poll(position, 10) is None
        write(tmp_path / "a.log", line[at : at + 1])
    chunks, rejects, position = read(follower)
    assert (text(chunks), rejects) == (line, [])
    write(tmp_path / "a.log", b"half")
    assert follower.poll(position, 10) is None


def test_a_byte_order_mark_is_passed_but_counted(source: Open, tmp_path: Path) -> None:
    write(tmp_path / "a.log", b"\xef\xbb\xbfone\ntwo\n")
    chunks, _, _ = read(source())
    assert [(chunk.offset, chunk.data) for chunk in chunks] == [(3, b"one\ntwo\n")]


def test_a_csv_chunk_carries_the_header_and_never_gives_it_as_a_row(source: Open, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", b"\xef\xbb\xbfx,y\n1,2\n")
    chunks, _, position = read(source("csv"))
    write(tmp_path / "a.csv", b"3,4\n")
    more, _, _ = read(source("csv"), position)
    assert [(chunk.header, chunk.offset, chunk.data) for chunk in chunks + more] == [
        (b"x,y\n", 7, b"1,2\n"),
        (b"x,y\n", 11, b"3,4\n"),
    ]


def test_csv_files_under_one_long_header_are_different_files(source: Open, tmp_path: Path) -> None:
    header = b",".join(b"column_%d" % number for number in range(300)) + b"\n"
    (tmp_path / "a.1").write_bytes(header + b"1\n")
    (tmp_path / "a.2").write_bytes(header + b"2\n")
    chunks, _, _ = read(source("csv"))
    assert sorted(bytes(chunk.data) for chunk in chunks if isinstance(chunk.data, bytes)) == [b"1\n", b"2\n"]


def test_a_csv_header_without_end_is_rejected(source: Open, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", b"x" * 500 + b"\n1,2\n")
    chunks, rejects, _ = read(source("csv", Limits(max_line=100)))
    assert (chunks, [(reject.offset, reject.reason) for reject in rejects]) == ([], [(0, "line_too_long")])


def test_a_line_too_long_is_rejected_and_its_neighbours_are_read(source: Open, tmp_path: Path) -> None:
    write(tmp_path / "a.log", b"one\n" + b"x" * 5000 + b"\ntwo\n" + b"y" * 101 + b"\n" + b"z" * 100 + b"\n")
    chunks, rejects, _ = read(source(limits=Limits(max_line=100)))
    assert text(chunks) == b"one\ntwo\n" + b"z" * 100 + b"\n"
    assert [(reject.offset, reject.reason, len(reject.text)) for reject in rejects] == [
        (4, "line_too_long", 101),
        (5009, "line_too_long", 101),
    ]


def test_a_rejected_line_is_kept_to_its_first_kilobyte(source: Open, tmp_path: Path) -> None:
    write(tmp_path / "a.log", b"\xff" + b"x" * 5000 + b"\n")
    _, rejects, _ = read(source(limits=Limits(max_line=2000)))
    assert rejects[0].text == "\N{REPLACEMENT CHARACTER}" + "x" * 1023


def test_a_long_line_is_rejected_only_once_it_has_ended(source: Open, tmp_path: Path) -> None:
    follower = source(limits=Limits(max_line=100))
    write(tmp_path / "a.log", b"one\n")
    _, _, position = read(follower)
    for _ in range(5):
        write(tmp_path / "a.log", b"x" * 300_000)
        assert follower.poll(position, 10) is None
    write(tmp_path / "a.log", b"\ntwo\n")
    chunks, rejects, _ = read(follower, position)
    assert (text(chunks), [reject.offset for reject in rejects]) == (b"two\n", [4])


MEMORY = """
import resource, sys
from monitor.sources.files import FilesSource
from monitor.sources.reading import Limits
from monitor.types import Position

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

before = peak()
source = FilesSource("logs", sys.argv[1], "jsonl", lambda _: None, Limits(bytes=4 * 2**20, max_line=2**20))
position, rows, rejects = Position(), 0, 0
while (batch := source.poll(position, 10**9)) is not None:
    position = batch.position
    rows += sum(chunk.data.count(b"\\n") for chunk in batch.chunks)
    rejects += len(batch.rejects)
source.close()
print(rows, rejects, peak() - before)
"""


def measure(pattern: Path) -> tuple[int, int, int]:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(pattern)], capture_output=True, check=True, text=True
    )
    rows, rejects, rise = (int(word) for word in done.stdout.split())
    return rows, rejects, rise


def test_a_line_of_200_mb_takes_little_memory(tmp_path: Path) -> None:
    with (tmp_path / "a.log").open("wb") as file:
        file.write(b"one\n")
        for _ in range(200):
            file.write(b"a" * 10**6)
        file.write(b"\ntwo\n")
    rows, rejects, rise = measure(tmp_path / "a.log")
    assert (rows, rejects) == (2, 1)
    assert rise < 2 * 4 * MIB


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_a_compression_bomb_takes_little_memory(tmp_path: Path, ending: str) -> None:
    content = b"one\n" + b"\0" * 200 * 10**6 + b"\n" + b"two\n" * 10**6
    (tmp_path / f"a.{ending}").write_bytes(compress(content, ending))
    rows, rejects, rise = measure(tmp_path / f"a.{ending}")
    assert (rows, rejects) == (1 + 10**6, 1)
    # The zstd decoder itself keeps a window of up to 8 MiB at this level.
    assert rise < (2 * 4 + (9 if ending == "zst" else 0)) * MIB


def compress(content: bytes, ending: str) -> bytes:
    if ending == "gz":
        return gzip.compress(content, mtime=0)
    return zstandard.ZstdCompressor(write_checksum=True).compress(content)


LINES = b"".join(
    b'{"number": %d, "noise": "%s"}\n' % (n, os.urandom(20).hex().encode()) for n in range(30_000)
)


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_a_compressed_file_is_read_in_parts_and_to_its_unfinished_last_line(
    source: Open, tmp_path: Path, ending: str
) -> None:
    (tmp_path / f"a.{ending}").write_bytes(compress(LINES + b"last", ending) + compress(b" line", ending))
    chunks, rejects, position = read(source(limits=Limits(bytes=100_000)))
    assert (text(chunks), rejects) == (LINES + b"last line", [])
    assert len(chunks) > 10
    assert source().poll(position, 10) is None


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_a_compressed_file_is_continued_at_its_offset(source: Open, tmp_path: Path, ending: str) -> None:
    (tmp_path / f"a.{ending}").write_bytes(compress(LINES, ending))
    first = source().poll(Position(), 1000)
    assert first is not None
    chunks, _, _ = read(source(), first.position)
    assert text([*first.chunks, *chunks]) == LINES


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_rows_before_damage_are_read(source: Open, tmp_path: Path, ending: str) -> None:
    packed = bytearray(compress(LINES, ending))
    packed[-6:-4] = b"??" if ending == "gz" else packed[-6:-4]
    packed[-1] ^= 0xFF  # the length at the end of gzip, the checksum at the end of zstd
    (tmp_path / f"a.{ending}").write_bytes(bytes(packed))
    chunks, rejects, position = read(source())
    assert LINES.startswith(text(chunks))
    assert ending == "zst" or text(chunks) == LINES
    assert [(reject.reason, reject.text) for reject in rejects] == [("corrupt_compression", "")]
    assert rejects[0].offset == len(text(chunks))
    assert source().poll(position, 10) is None


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_a_compressed_file_still_being_written_is_waited_for(
    source: Open, tmp_path: Path, ending: str
) -> None:
    packed = compress(LINES, ending)
    path = tmp_path / f"a.{ending}"
    path.write_bytes(packed[: len(packed) // 2])
    follower = source()
    first = follower.poll(Position(), 10**9)
    assert first is not None
    assert not first.rejects
    path.write_bytes(packed)
    chunks, rejects, _ = read(follower, first.position)
    assert (text([*first.chunks, *chunks]), rejects) == (LINES, [])


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_a_compressed_file_that_stays_cut_is_given_up(source: Open, tmp_path: Path, ending: str) -> None:
    packed = compress(LINES, ending)
    (tmp_path / f"a.{ending}").write_bytes(packed[: len(packed) // 2])
    chunks, rejects, position = read(source())
    assert [reject.reason for reject in rejects] == ["corrupt_compression"]
    assert rejects[0].offset == len(text(chunks)) > 0
    assert source().poll(position, 10) is None


def test_a_batch_keeps_both_limits(source: Open, tmp_path: Path) -> None:
    write(tmp_path / "a.log", b"123456789\n" * 100)
    assert sizes(source(limits=Limits(rows=7)).poll(Position(), 1000)) == (70, True)
    assert sizes(source(limits=Limits(bytes=59)).poll(Position(), 1000)) == (50, True)
    assert sizes(source().poll(Position(), 3)) == (30, True)
    assert sizes(source().poll(Position(), 100)) == (1000, False)


def test_newlines_are_counted_by_blocks_of_the_file(source: Open, tmp_path: Path) -> None:
    write(tmp_path / "a.log", b'{"a": "0123456789"}\n' * 40_000)
    by_bytes, _, _ = read(source(limits=Limits(bytes=300_000)))
    assert [chunk.newlines for chunk in by_bytes] == [
        newlines_by_block(chunk.data, chunk.offset, len(chunk.data))
        for chunk in by_bytes
        if isinstance(chunk.data, bytes)
    ]
    assert max(len(chunk.newlines) for chunk in by_bytes) > 1
    by_rows, _, _ = read(source(limits=Limits(rows=30_000)))
    assert by_rows[0].newlines == (), "not known of what was cut again"
    assert sum(by_rows[1].newlines) == 10_000


def sizes(batch: Batch | None) -> tuple[int, bool]:
    assert batch is not None
    return len(text(list(batch.chunks))), batch.more
