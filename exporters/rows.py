"""Several series that share their labels, as one: a monitor's score, threshold, state and so on.

A hundred thousand series are eight thousand monitors. What handles them row by row, and not sample by sample,
is many times as fast, and OTLP, the command line and Prometheus' text still come from one list.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct

from exporters.catalog import Exemplar, Histogram, Sample


class Shape(Struct, frozen=True):
    """Which metrics the rows of a kind have.

    names: those of the values. hot: a metric with one more label, which is 1 for one of `states` and 0 for
    the others. counter: the place in `names` of the counter that an exemplar belongs to.
    """

    names: tuple[str, ...]
    hot: str
    states: tuple[str, ...]
    counter: int

    @property
    def size(self) -> int:
        """The most series that a row has."""
        return len(self.names) + len(self.states)


class Row(NamedTuple):
    """The series of one set of labels. values: in the order of the shape's names, None where unknown."""

    labels: tuple[str, ...]
    values: tuple[float | None, ...]
    state: str
    exemplar: Exemplar | None = None

    def samples(self, shape: Shape) -> Iterator[Sample]:
        """Yield each series by itself."""
        for place, (name, value) in enumerate(zip(shape.names, self.values, strict=True)):
            if value is not None:
                yield Sample(name, self.labels, value, self.exemplar if place == shape.counter else None)
        for each in shape.states:
            yield Sample(shape.hot, (*self.labels, each), float(each == self.state))


class Part(Struct, frozen=True, eq=False):
    """A stretch of what is exported. The same object again says that nothing in it has changed.

    rows: all of one shape.
    """

    samples: Sequence[Sample] = ()
    rows: Sequence[Row] = ()
    shape: Shape = Shape((), "", (), 0)

    def each(self) -> Iterator[Sample]:
        """Yield every series by itself."""
        yield from self.samples
        for row in self.rows:
            yield from row.samples(self.shape)

    def series(self) -> int:
        """Return how many series there are."""
        states = len(self.shape.states)
        return series(self.samples) + sum(len(r.values) - r.values.count(None) + states for r in self.rows)


def series(samples: Iterable[Sample]) -> int:
    """Return how many series samples are: a histogram is one for each bucket, +Inf, sum and count."""
    return sum(len(s.value.bounds) + 3 if isinstance(s.value, Histogram) else 1 for s in samples)
