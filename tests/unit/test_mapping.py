"""Files as arrays: what they show, how long they last, and that they hold no descriptor."""

import gc
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from monitor.store.mapping import pages

DATA = np.random.default_rng(1).integers(0, 256, 100_001, np.uint8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    DATA.tofile(found := tmp_path / "data")
    return found


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - its own descriptor is among them each time


def mapped(path: Path) -> bool:
    return str(path) in Path("/proc/self/maps").read_text(encoding="utf-8")


def test_an_array_shows_the_whole_file(path: Path) -> None:
    with path.open("rb") as file:
        file.seek(70)
        assert np.array_equal(pages(file), DATA)


def test_it_is_read_only(path: Path) -> None:
    with path.open("rb") as file:
        found = pages(file)

    assert not found.flags.writeable
    with pytest.raises(ValueError, match="cannot set WRITEABLE"):
        found.flags.writeable = True


def test_it_holds_no_descriptor(path: Path) -> None:
    before = descriptors()
    with path.open("rb") as file:
        many = [pages(file) for _ in range(50)]

    assert descriptors() == before
    assert all(found[-1] == DATA[-1] for found in many)


def test_it_outlives_the_name_of_the_file(path: Path) -> None:
    with path.open("rb") as file:
        found = pages(file)
    path.unlink()

    assert np.array_equal(found, DATA)


def test_the_mapping_lasts_as_long_as_any_array_over_it(path: Path) -> None:
    with path.open("rb") as file:
        found = pages(file)
    part = np.frombuffer(found, "<u2", 10, 8)
    del found
    gc.collect()
    assert mapped(path)
    assert part.tobytes() == DATA[8:28].tobytes()

    del part
    gc.collect()
    assert not mapped(path)


def test_threads_may_let_go_of_it(path: Path) -> None:
    def look(_: int) -> int:
        with path.open("rb") as file:
            return int(pages(file).sum(dtype=np.int64))

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(look, range(40))) == {int(DATA.sum(dtype=np.int64))}
    gc.collect()
    assert not mapped(path)


def test_what_the_kernel_does_not_map_is_told(path: Path) -> None:
    path.write_bytes(b"")

    with path.open("rb") as file, pytest.raises(OSError, match="Invalid argument"):
        pages(file)
