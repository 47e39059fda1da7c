"""The laws that every detector of streams keeps, as functions that say how one was broken.

Whoever adds one hands what makes it to each of `STREAM_LAWS`, together with a `Course` of rows for it.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from msgspec import Struct

from detectors.measure import Floats, Ints
from detectors.streaming import Stream

Make = Callable[[], Stream]


class Course(Struct, frozen=True, eq=False):
    """Rows to try a stream on.

    calm: rows as in the reference, on which it does not alarm. changed: rows after them, on which it does.
    constant: a value that it takes. found: the row of the first alarm, counted from the first calm row.
    """

    calm: Floats
    changed: Floats
    constant: float
    found: int

    @property
    def rows(self) -> Floats:
        """All of them, the calm ones first."""
        return np.concatenate([self.calm, self.changed])


def fed(stream: Stream, chunks: Sequence[Floats]) -> tuple[list[int], list[float]]:
    """Return the rows and scores of all alarms of these chunks."""
    alarms = [stream.feed(chunk) for chunk in chunks]
    return [int(r) for a in alarms for r in a.rows], [float(s) for a in alarms for s in a.scores]


def chunks_mean_nothing(make: Make, course: Course) -> Iterator[str]:
    """Demand the same alarms, scores and state to the last bit, wherever the rows are cut."""
    whole = make()
    first = fed(whole, [course.rows])
    rng = np.random.default_rng(0)
    for mean in (3, 50, 700):
        lengths = rng.integers(0, 2 * mean + 1, size=2 * len(course.rows) // mean)
        cut = make()
        if fed(cut, np.split(course.rows, _inside(np.cumsum(lengths), len(course.rows)))) != first:
            yield f"chunks of {mean} rows give other alarms"
        if (cut.score, cut.rows, cut.dump()) != (whole.score, whole.rows, whole.dump()):
            yield f"chunks of {mean} rows leave another state"


def _inside(cuts: Ints, rows: int) -> Ints:
    return cuts[cuts <= rows]


def a_restored_stream_goes_on(make: Make, course: Course) -> Iterator[str]:
    """Demand that nothing is lost between dump and load, at any row: in calm, at an alarm, after it."""
    first = fed(make(), [course.rows])
    for at in (0, 1, len(course.calm), course.found, course.found + 1, course.found + 2):
        before, after = make(), make()
        early = fed(before, [course.rows[:at]])
        if note := after.load(before.dump()):
            yield f"at row {at}: {note}"
        late = fed(after, [course.rows[at:]])
        if (early[0] + late[0], early[1] + late[1]) != first:
            yield f"restored at row {at} it gives other alarms"


def another_state_is_not_used(make: Make, course: Course) -> Iterator[str]:
    """Demand that a damaged state is refused with a reason, and that the stream then begins anew."""
    used = make()
    used.feed(course.rows)
    data = bytearray(used.dump())
    data[-1] ^= 1
    for damaged in (bytes(data), b"", b"x" * 100, used.dump()[:-1]):
        if not used.load(damaged):
            yield "a damaged state is used"
        if used.dump() != make().dump():
            yield "what refuses a state does not begin anew"


def values_that_are_not_finite_are_left_out(make: Make, course: Course) -> Iterator[str]:
    """Demand that NaN and infinities change nothing but the numbers of the rows, and are counted."""
    holes = np.arange(0, len(course.rows), 7)
    odd = np.resize([np.nan, np.inf, -np.inf], len(holes))
    stream, clean = make(), make()
    alarms, scores = fed(stream, [np.insert(course.rows, holes, odd)])
    bare, expected = fed(clean, [course.rows])
    if (stream.left_out, stream.rows) != (len(odd), len(odd) + len(course.rows)):
        yield f"{stream.left_out} of {len(odd)} were counted"
    if alarms != [row + row // 7 + 1 for row in bare] or scores != expected:
        yield "they change the alarms"
    if stream.score != clean.score or fed(make(), [odd]) != ([], []):
        yield "they change the score"


def a_constant_is_calm(make: Make, course: Course) -> Iterator[str]:
    """Demand no alarm while one value comes again and again."""
    stream = make()
    if fed(stream, [np.full(2000, course.constant)])[0] or not math.isfinite(stream.score):
        yield "a constant alarms"


def no_rows_change_nothing(make: Make, course: Course) -> Iterator[str]:
    """Demand that an empty chunk is taken, at the start and later."""
    stream = make()
    for rows in (course.calm[:0], course.calm[:101], course.calm[:0]):
        before = stream.dump()
        stream.feed(rows)
        if not len(rows) and stream.dump() != before:
            yield "an empty chunk changes the state"


def the_change_is_found(make: Make, course: Course) -> Iterator[str]:
    """Demand the first alarm at its row, with a score above the threshold, and none before the change."""
    stream = make()
    alarms, scores = fed(stream, [course.calm, course.changed])
    if alarms[:1] != [course.found] or course.found < len(course.calm):
        yield f"the alarms are {alarms[:3]}"
    yield from (f"alarm with score {s}" for s in scores if not stream.threshold < s < math.inf)


STREAM_LAWS: Mapping[str, Callable[[Make, Course], Iterator[str]]] = MappingProxyType(
    {
        law.__name__: law
        for law in (
            chunks_mean_nothing,
            a_restored_stream_goes_on,
            another_state_is_not_used,
            values_that_are_not_finite_are_left_out,
            a_constant_is_calm,
            no_rows_change_nothing,
            the_change_is_found,
        )
    }
)
