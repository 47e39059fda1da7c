"""Laws of sources that move in the configuration: nothing that was read of a log is lost or changes hands."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from monitor.book_facts import source_names
from monitor.config import Source
from monitor.core.plan import Plan
from monitor.core.state import Book, ModelState, dump_book, load_book
from monitor.source_places import with_places
from monitor.types import EntryKey, Position
from tests.logs import model

roles = st.sampled_from(["predictions", "outcomes", "both"])
sources = st.lists(st.tuples(roles, st.sampled_from("abcde")), min_size=1, max_size=5, unique=True)


def plan_of(wanted: list[tuple[str, str]]) -> Plan:
    made = (Source(role=role, type="files", path=f"/{path}") for role, path in wanted)  # type: ignore[arg-type]
    return Plan.of(model(sources=tuple(made)))


def read(plan: Plan, state: ModelState) -> ModelState:
    """Read of every source: what is known of it says which one it is."""
    names = source_names(plan)
    what = {n: f"{s.role} {s.path}" for n, s in zip(names, plan.model.sources, strict=True)}
    positions = {n: Position({**state.positions.get(n, Position()).entries, what[n]: "1"}) for n in names}
    counts = {(n, "received", ""): 1 for n in names} | {("predictions-0", "retrain", "sent"): 7}
    units = {**state.book.units, **dict.fromkeys(names, "s")}
    book = replace(state.book, counts={**state.book.counts, **counts}, units=units)  # type: ignore[arg-type]
    return replace(state, positions={**state.positions, **positions}, book=book)


ALL = [("predictions", "a"), ("predictions", "b"), ("outcomes", "a"), ("both", "c"), ("both", "d")]
some = st.permutations(ALL).flatmap(lambda order: st.integers(1, len(ALL)).map(lambda n: order[:n]))


@given(st.lists(some, min_size=1, max_size=6))
def test_what_was_read_of_a_log_goes_with_it(configured: list[list[tuple[str, str]]]) -> None:
    """In any order, and after it was out of the configuration for a time."""
    state, seen = ModelState("m"), set[tuple[str, str]]()
    for wanted in (ALL, *configured):
        plan = plan_of(wanted)
        state, _ = with_places(plan, state)
        before = {entry for position in state.positions.values() for entry in position.entries}
        assert before == {f"{role} /{path}" for role, path in seen}
        for name, (role, path) in zip(source_names(plan), wanted, strict=True):
            known = state.positions.get(name, Position()).entries
            assert (role, path) not in seen or f"{role} /{path}" in known
        state = read(plan, state)
        seen |= set(wanted)
    assert state.book.counts["predictions-0", "retrain", "sent"] == 7


@given(sources, sources)
def test_the_entries_say_what_the_state_says(
    first: list[tuple[str, str]], second: list[tuple[str, str]]
) -> None:
    state = read(plan_of(first), with_places(plan_of(first), ModelState("m"))[0])
    store: dict[EntryKey, bytes | None] = {
        (f"position/{name}", "m", key): value.encode()
        for name, position in state.positions.items()
        for key, value in position.entries.items()
    }
    store["book", "m", ""] = dump_book(state.book)

    after, changes = with_places(plan_of(second), state)

    found = {key: value for key, value in (store | changes).items() if value is not None}
    book = load_book(found.pop(("book", "m", "")))
    assert found == {
        (f"position/{name}", "m", key): value.encode()
        for name, position in after.positions.items()
        for key, value in position.entries.items()
    }
    assert not changes or book == after.book


@given(sources)
def test_the_same_sources_again_change_nothing(wanted: list[tuple[str, str]]) -> None:
    plan = plan_of(wanted)
    state = read(plan, with_places(plan, ModelState("m"))[0])

    assert with_places(plan, state) == (state, {})


def test_a_state_that_does_not_say_where_its_sources_were_has_them_by_place() -> None:
    plan = plan_of([("predictions", "a"), ("outcomes", "b")])
    state = read(plan, ModelState("m"))

    after, changes = with_places(plan, state)

    assert (after.positions, changes) == (state.positions, {})
    assert after.book.sources == {"predictions-0": "/a", "outcomes-1": "/b"}
    assert Book().sources == {}


def test_another_path_at_the_same_place_takes_over_what_is_known() -> None:
    before, now = plan_of([("predictions", "a")]), plan_of([("predictions", "b")])
    state = read(before, with_places(before, ModelState("m"))[0])

    after, changes = with_places(now, state)

    assert (after.positions, changes) == (state.positions, {})
    assert after.book.sources == {"predictions-0": "/b"}
