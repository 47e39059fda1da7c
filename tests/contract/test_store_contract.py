"""What every store does: all of a commit or nothing, and what was committed comes back."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.store.base import Store
from monitor.store.memory import MemoryStore
from monitor.store.sqlite import SqliteStore
from monitor.types import EntryKey

Make = Callable[[], Store]
texts = st.text(st.characters(codec="utf-8"), max_size=8)
keys = st.tuples(
    st.sampled_from(["book", "window", "position/predictions-0"]), st.sampled_from(["a", "b"]), texts
)
changes = st.dictionaries(keys, st.one_of(st.none(), st.binary(max_size=40)), max_size=8)


@pytest.fixture(params=["memory", "sqlite"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    made: list[Store] = []

    def memory() -> Store:
        made.append(made[0] if made else MemoryStore())
        return made[-1]

    def sqlite() -> Store:
        for store in made:
            store.close()
        made.append(SqliteStore(tmp_path / "state"))
        return made[-1]

    yield memory if request.param == "memory" else sqlite
    for store in made:
        store.close()


def test_a_new_store_is_empty(make: Make) -> None:
    assert make().load() == {}


def test_entries_come_back_after_reopening(make: Make) -> None:
    make().commit(
        {("book", "m", ""): b"1", ("window", "m", '[1,"v\\u0000"]'): bytes(range(256)), ("x", "", ""): b""}
    )

    assert make().load() == {
        ("book", "m", ""): b"1",
        ("window", "m", '[1,"v\\u0000"]'): bytes(range(256)),
        ("x", "", ""): b"",
    }


def test_a_commit_puts_replaces_and_deletes(make: Make) -> None:
    store = make()
    store.commit({("a", "m", "1"): b"old", ("a", "m", "2"): b"gone", ("a", "n", "2"): b"other"})
    store.commit({("a", "m", "1"): b"new", ("a", "m", "2"): None, ("a", "m", "never"): None})

    assert store.load() == {("a", "m", "1"): b"new", ("a", "n", "2"): b"other"}


def test_one_models_entries_are_loaded_alone(make: Make) -> None:
    store = make()
    store.commit({("a", "m", "1"): b"x", ("a", "n", "1"): b"y", ("a", "", "1"): b"z"})

    assert store.load("m") == {("a", "m", "1"): b"x"}
    assert store.load("") == {("a", "", "1"): b"z"}
    assert store.load("none") == {}


def test_a_space_is_left_out(make: Make) -> None:
    store = make()
    store.commit({("a", "m", "1"): b"x", ("rows", "m", "1"): b"y", ("a", "n", "1"): b"z"})

    assert store.load(without="rows") == {("a", "m", "1"): b"x", ("a", "n", "1"): b"z"}
    assert store.load("m", without="rows") == {("a", "m", "1"): b"x"}


def test_what_load_returns_is_the_callers(make: Make) -> None:
    store = make()
    store.commit({("a", "m", "1"): b"x"})
    store.load().clear()

    assert store.load() == {("a", "m", "1"): b"x"}


def test_closing_twice_is_fine(make: Make) -> None:
    store = make()
    store.commit({("a", "m", "1"): b"x"})
    store.close()
    store.close()
    assert make().load() == {("a", "m", "1"): b"x"}


@settings(max_examples=25)
@given(st.lists(changes, max_size=5))
def test_a_store_is_the_sum_of_its_commits(
    tmp_path_factory: pytest.TempPathFactory, commits: list[dict[EntryKey, bytes | None]]
) -> None:
    expected: dict[EntryKey, bytes] = {}
    memory, sqlite = MemoryStore(), SqliteStore(tmp_path_factory.mktemp("state"))
    try:
        for commit in commits:
            memory.commit(commit)
            sqlite.commit(commit)
            expected = {k: v for k, v in {**expected, **commit}.items() if v is not None}
        assert memory.load() == sqlite.load() == expected
    finally:
        sqlite.close()
