"""The files of waiting rows, over all models: only the entries of waiting rows name them."""

from pathlib import Path

import polars as pl
import pytest

from monitor.shelves import FOLDER, HELD, Shelves
from monitor.store.segments import BESIDE, INLINE

FRAME = pl.DataFrame({"key": pl.int_range(INLINE, eager=True)})


def files(state: Path) -> list[Path]:
    return sorted((state / FOLDER).glob("*/*"))


@pytest.mark.parametrize("space", HELD)
def test_a_file_goes_with_the_commit_that_lets_it_go(tmp_path: Path, space: str) -> None:
    shelves = Shelves(tmp_path, ["m"], {})
    _, value = shelves.by_model["m"].keep(FRAME)
    shelves.after("m", {(space, "m", "[0,0]"): value})
    assert len(files(tmp_path)) == 1

    shelves.after("m", {(space, "m", "[0,0]"): None})

    assert not files(tmp_path)


@pytest.mark.parametrize("space", HELD)
def test_a_new_start_keeps_the_named_files_and_no_others(tmp_path: Path, space: str) -> None:
    shelf = Shelves(tmp_path, ["m"], {}).by_model["m"]
    (_, named), _ = shelf.keep(FRAME), shelf.keep(FRAME)

    again = Shelves(tmp_path, ["m"], {(space, "m", "[0,0]"): named})

    assert len(files(tmp_path)) == 1
    assert again.by_model["m"].reopen(named).equals(FRAME)


def test_an_entry_of_another_kind_may_begin_with_any_byte(tmp_path: Path) -> None:
    key = ("window", "m", "0")
    profile = BESIDE + b"\xa9 is no name of a file"

    shelves = Shelves(tmp_path, ["m"], {key: profile})
    shelves.after("m", {key: profile})
    shelves.after("m", {key: None})

    assert not files(tmp_path)
