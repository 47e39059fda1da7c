"""Held rows in entries and files: what is read, what is mapped, what damage does."""

import gc
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from monitor.errors import StateError
from monitor.store.segments import MemorySegments, Segments

MANY = 60_000


def numbers(rows: int = MANY, seed: int = 1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "id": rng.integers(0, 2**63, rows).astype(np.uint64),
            "at": rng.integers(-(2**40), 2**40, rows),
            "score": rng.random(rows),
            "label": rng.integers(0, 3, rows).astype(np.uint8),
        }
    )


def mixed(rows: int = MANY) -> pl.DataFrame:
    """Columns of every kind, those that can be mapped among others."""
    text = pl.Series("text", [None if i % 7 == 0 else f"text number {i}" for i in range(rows)])
    known = pl.Series("known", np.arange(rows) % 3 == 0)
    some = pl.Series("some", [None, 1.5] * (rows // 2))
    when = pl.Series("when", np.arange(rows)).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame([text, *numbers(rows).get_columns(), known, some, when]).select(
        "text", "score", "known", "id", "some", "label", "when", "at"
    )


def file_of(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def mapped(path: Path) -> bool:
    return str(path) in Path("/proc/self/maps").read_text(encoding="utf-8")


def address(series: pl.Series) -> int:
    return int(series.to_numpy().ctypes.data)


@pytest.mark.parametrize("frame", [numbers(0), numbers(10), mixed(10)], ids=["empty", "numbers", "mixed"])
def test_a_small_frame_lies_in_its_entry(tmp_path: Path, frame: pl.DataFrame) -> None:
    kept, value = Segments(tmp_path / "held").keep(frame)

    assert not (tmp_path / "held").exists()
    assert value.startswith(b"A")
    assert kept.equals(frame)
    assert Segments(tmp_path).reopen(value).equals(frame)
    assert MemorySegments().reopen(value).schema == frame.schema


def test_a_small_frame_lets_go_of_the_batch_it_was_cut_from(tmp_path: Path) -> None:
    batch = numbers()
    kept, _ = Segments(tmp_path).keep(batch.slice(100, 10))

    assert address(kept["id"]) != address(batch["id"]) + 800


@pytest.mark.parametrize("frame", [numbers(), mixed()], ids=["numbers", "mixed"])
def test_a_large_frame_lies_in_a_file(tmp_path: Path, frame: pl.DataFrame) -> None:
    kept, value = Segments(tmp_path).keep(frame)

    document = json.loads(value[1:])
    assert value.startswith(b"F")
    assert (document["file"], document["rows"]) == (file_of(tmp_path).name, MANY)
    assert document["size"] == file_of(tmp_path).stat().st_size
    assert kept.equals(frame)
    assert Segments(tmp_path).reopen(value).equals(frame)
    assert kept.schema == frame.schema


def test_the_file_is_an_arrow_file(tmp_path: Path) -> None:
    frame = mixed()
    Segments(tmp_path).keep(frame)

    assert pl.read_ipc(file_of(tmp_path)).select(frame.columns).equals(frame)


@pytest.mark.parametrize("again", [False, True], ids=["kept", "reopened"])
def test_numbers_of_a_file_are_mapped_not_copied(tmp_path: Path, again: bool) -> None:  # noqa: FBT001 - a parameter
    segments = Segments(tmp_path)
    frame, value = segments.keep(mixed())
    if again:
        frame = segments.reopen(value)
    path = file_of(tmp_path)
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    areas = [
        range(*(int(end, 16) for end in line.split()[0].split("-"))) for line in lines if str(path) in line
    ]

    there = {name for name in frame.columns if any(address(frame[name]) in area for area in areas)}
    assert there >= {"id", "at", "score", "label"}
    assert not there & {"some", "text"}


def test_a_mapping_goes_with_its_frame(tmp_path: Path) -> None:
    kept, _ = Segments(tmp_path).keep(numbers())
    assert mapped(file_of(tmp_path))
    part = kept.slice(5, 5).select("id")
    del kept
    assert part["id"].to_list() == numbers()["id"][5:10].to_list()
    del part
    gc.collect()

    assert not mapped(file_of(tmp_path))


def test_a_file_that_is_not_large_is_read_so_that_mappings_last(tmp_path: Path) -> None:
    kept, _ = Segments(tmp_path).keep(numbers(MANY // 4))

    assert not mapped(file_of(tmp_path))
    assert kept.equals(numbers(MANY // 4))


def test_a_frame_in_pieces_is_mapped_as_one(tmp_path: Path) -> None:
    pieces = pl.concat([numbers(seed=seed) for seed in range(4)], rechunk=False)
    kept, _ = Segments(tmp_path).keep(pieces)

    assert kept.equals(pieces)
    assert kept.n_chunks() == 1
    assert mapped(file_of(tmp_path))


@pytest.mark.parametrize("name", ["100%", "a?b*", "c#d", "[e] f", "ü", "year=2020"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    segments = Segments(tmp_path / name)
    kept, value = segments.keep(mixed())

    assert kept.equals(mixed())
    assert segments.reopen(value).equals(mixed())


def refusal(segments: Segments, value: bytes) -> str:
    with pytest.raises(StateError) as caught:
        segments.reopen(value)
    assert "\n" not in str(caught.value)
    assert "restore a backup" in str(caught.value)
    return str(caught.value)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    segments = Segments(tmp_path)
    _, value = segments.keep(numbers())
    (path := file_of(tmp_path)).unlink()

    assert refusal(segments, value).startswith(f"{path}: is missing")


@pytest.mark.parametrize("size", [0, 1000, -1])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, size: int) -> None:
    segments = Segments(tmp_path)
    _, value = segments.keep(numbers())
    path = file_of(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[:size])

    assert refusal(segments, value).startswith(
        f"{path}: is damaged ({len(data[:size])} bytes instead of {len(data)})"
    )


@pytest.mark.parametrize("frame", [numbers(), mixed(20_000)], ids=["mapped", "read"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.7, 0.9999])
def test_a_flipped_bit_is_refused_by_name(tmp_path: Path, frame: pl.DataFrame, part: float) -> None:
    segments = Segments(tmp_path)
    _, value = segments.keep(frame)
    path = file_of(tmp_path)
    data = bytearray(path.read_bytes())
    data[int(part * len(data))] ^= 4
    path.write_bytes(data)

    assert refusal(segments, value).startswith(f"{path}: is damaged (its checksum differs)")


@pytest.mark.parametrize("value", [b"", b"?", b"A", b"Agarbage"])
def test_an_entry_that_holds_no_frame_is_refused(tmp_path: Path, value: bytes) -> None:
    assert refusal(Segments(tmp_path), value).startswith("the state is damaged")


FEW_DESCRIPTORS = """
import pathlib, resource, sys
import numpy, polars
from monitor.store.segments import Segments

folder, frame = pathlib.Path(sys.argv[1]), polars.DataFrame({"x": numpy.arange(200_000)})
Segments(folder / "first").keep(frame)  # what is opened once, by the libraries, is open now
resource.setrlimit(resource.RLIMIT_NOFILE, (32, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
kept = [Segments(folder).keep(frame) for _ in range(64)]
again = [Segments(folder).reopen(value) for _, value in kept]
assert all(held.equals(frame) for held in [held for held, _ in kept] + again)
with open("/proc/self/maps") as maps:
    print(maps.read().count(".arrow"))
"""


def test_rows_that_wait_hold_no_descriptors(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FEW_DESCRIPTORS, str(tmp_path)], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) >= 2 * 64
