"""Sources that moved in the configuration: what was read of each goes with it.

A source is named by its role and its place among the model's sources, and what was read of it is kept under
that name. When one is taken out or put before the others, names change hands: without this the rows of one
log would be read again as those of another.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from monitor.book_facts import source_names
from monitor.core.plan import Plan
from monitor.core.state import ModelState, dump_book, position_changes
from monitor.types import Changes, Position

PARKED = "was"


def with_places(plan: Plan, state: ModelState) -> tuple[ModelState, Changes]:
    """Take on the configured sources; each goes on where it stopped, wherever it stands now.

    One whose path has changed takes the place of the one that stood there: files that it knows are not read
    again. What was read of a source that is gone is kept for its return, under a name of its own.
    """
    wanted = dict(zip(source_names(plan), (s.path for s in plan.model.sources), strict=True))
    book = state.book
    moves = _moves(book.sources, wanted)
    parked = {moves[name]: path for name, path in book.sources.items() if PARKED in _parts(moves[name])}
    sources = {**parked, **wanted}
    if all(old == new for old, new in moves.items()):
        return replace(state, book=replace(book, sources=sources)), {}
    # a webhook's requests are counted beside the sources' rows, under its name
    counts = {((s if w == "retrain" else moves.get(s, s)), w, r): n for (s, w, r), n in book.counts.items()}
    units = {moves.get(name, name): unit for name, unit in book.units.items()}
    positions = {moves.get(name, name): position for name, position in state.positions.items()}
    changes: Changes = {}
    for name in state.positions.keys() | positions.keys():
        before, after = (found.get(name, Position()) for found in (state.positions, positions))
        changes |= position_changes(plan.name, name, before, after)
    book = replace(book, sources=sources, counts=counts, units=units)
    return replace(state, positions=positions, book=book), changes | {
        ("book", plan.name, ""): dump_book(book)
    }


def _moves(known: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Return each known source's new name: of the same role and path, else of the same place, else parked."""
    left, moves = dict(wanted), dict[str, str]()
    for name, path in known.items():
        same = [n for n, p in left.items() if (_parts(n)[0], p) == (_parts(name)[0], path)]
        if same:
            moves[name] = name if name in same else same[0]
            del left[moves[name]]
    for name in known:
        if name not in moves and name in left:
            moves[name] = name
            del left[name]
    for name in known:
        if name not in moves:
            moves[name] = _parking(name, {*moves.values(), *known} - {name})
    return moves


def _parts(name: str) -> list[str]:
    return name.split("-")


def _parking(name: str, taken: set[str]) -> str:
    role, number = _parts(name)[0], 0
    while (free := f"{role}-{PARKED}-{number}") in taken:
        number += 1
    return free
