"""However commits end, the files on the disk are those the store may name: now, or after a crash."""

import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.errors import StoreUnavailableError
from monitor.shelves import FOLDER, Shelves
from monitor.store.segments import INLINE, Note
from monitor.types import Changes, EntryKey
from tests.shelving import opened

FRAME = pl.DataFrame({"key": pl.int_range(INLINE // 8 + 1, eager=True)})
Entries = dict[EntryKey, bytes]

steps = st.tuples(
    st.sampled_from(["done", "full", "unsynced", "given up"]),
    st.lists(
        st.integers(0, 3), max_size=4
    ),  # the runs written, one after the other: a repeated one is merged
    st.sets(st.integers(0, 3), max_size=2),  # the runs let go
)


def failure(how: str) -> StoreUnavailableError:
    cause = sqlite3.OperationalError()
    cause.sqlite_errorname = "SQLITE_FULL" if how == "full" else "SQLITE_IOERR_FSYNC"
    error = StoreUnavailableError("nothing was recorded")
    error.__cause__ = cause
    return error


def work(shelves: Shelves, how: str, written: list[int], gone: set[int]) -> Changes:
    """Write runs and end the work on a commit one way or the other; returns the commit's changes."""
    changes: Changes = {("pending", "m", f"[{n},0]"): None for n in gone}
    for n in written:
        changes["pending", "m", f"[{n},0]"] = shelves.by_model["m"].keep(FRAME)[1]
    try:
        if how != "given up":
            with shelves.committing("m", changes):
                if how != "done":
                    raise failure(how)
    except StoreUnavailableError:
        pass
    finally:
        shelves.tidy("m")
    return changes


def after(entries: Entries, changes: Changes) -> Entries:
    kept = {key: value for key, value in entries.items() if key not in changes}
    return kept | {key: value for key, value in changes.items() if value is not None}


def named(*several: Entries) -> set[str]:
    return {Note.load(value).file for entries in several for value in entries.values()}


@settings(max_examples=40)
@given(st.lists(steps, min_size=1, max_size=6))
def test_the_files_are_those_that_the_store_may_name(lives: list[tuple[str, list[int], set[int]]]) -> None:
    with TemporaryDirectory() as folder:
        state = Path(folder)
        shelves = opened(state, ["m"], {})
        entries: Entries = {}
        ghost: Entries = {}
        for how, written, gone in lives:
            changes = work(shelves, how, written, gone)
            if how == "done":
                entries, ghost = after(entries, changes), {}
            if how == "unsynced":
                ghost = after(entries, changes)

            there = {path.name for path in (state / FOLDER).glob("*/*")}
            assert there == named(entries, ghost)

        found = ghost or entries  # what a crash now shows
        again = opened(state, ["m"], found).by_model["m"]
        assert all(again.reopen(value).equals(FRAME) for value in found.values())
