"""Which series fit into a model's limit."""

from exporters.catalog import Sample
from exporters.prometheus import render
from exporters.rows import series
from monitor.core.plan import Plan
from monitor.performance_facts import outcome_samples
from monitor.room import Block, within
from tests.performances import MADE, STATE


def block(size: int, samples: int) -> Block:
    return Block(size, [Sample("driftd_labels_pending", (str(i),), 0) for i in range(samples)])


def test_after_the_first_block_that_does_not_fit_none_is_taken() -> None:
    taken, left = within([block(3, 2), block(5, 5), block(1, 1)], 7)
    assert (len(taken), left) == (2, 6)


def test_a_histogram_counts_as_the_series_it_becomes() -> None:
    samples = list(outcome_samples(Plan.of(MADE), STATE))
    text = render(samples)[0].decode()
    lines = [line for line in text.splitlines() if not line.startswith("#") and "_created" not in line]
    assert series(samples) == len(lines)
