"""Which series fit into a model's limit: blocks of series, the most important first."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from exporters.catalog import Sample
from exporters.rows import series


class Block(Struct, frozen=True):
    """Series that are exported together or not at all. size: series reserved for them, needed or not.

    So which blocks are exported does not change from one scrape to the next.
    """

    size: int
    samples: Sequence[Sample]


def within(blocks: Iterable[Block], room: int) -> tuple[list[Sample], int]:
    """Return the samples of the first blocks that fit, and how many series do not."""
    taken: list[Sample] = []
    left = 0
    for block in blocks:
        room -= block.size
        if room >= 0:
            taken += block.samples
        else:
            left += series(block.samples)
    return taken, left
