"""Whatever is put, taken, put back and settled: nothing is lost uncounted, nothing turns round."""

from hypothesis import given
from hypothesis import strategies as st

from exporters.otlp.bounded_queue import BoundedQueue

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(1, 7)),
        st.tuples(st.just("take"), st.integers(1, 7)),
        st.tuples(st.just("back"), st.just(0)),
        st.tuples(st.just("settle"), st.just(0)),
    ),
    max_size=40,
)


@given(STEPS, st.integers(1, 8))
def test_each_item_waits_is_settled_or_is_counted_as_dropped(
    steps: list[tuple[str, int]], limit: int
) -> None:
    queue, made, settled = BoundedQueue[int](limit), 0, list[int]()
    out: list[int] = []
    for what, count in steps:
        if what == "put":
            for _ in range(count):
                queue.put(made)
                made += 1
        elif what == "take" and not out:
            out = queue.take(count)
        elif what == "back" and out:
            queue.put_back(out)
            out = []
        elif what == "settle" and out:
            queue.settle(len(out), lost=0)
            settled += out
            out = []
        assert len(queue) <= limit + len(out)
        assert len(queue) + len(settled) + queue.dropped == made
    queue.put_back(out)
    left = queue.take(made)
    assert [*settled, *left] == sorted({*settled, *left})
