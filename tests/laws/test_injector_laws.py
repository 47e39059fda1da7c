"""An injected change is the same however a log is cut."""

from itertools import pairwise

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from monitor.injection import change_of, parse_injection
from monitor.injector import Injector
from monitor.types import Batch, Decoded, Position
from tests.histories import rows
from tests.logs import model, reference, schema_for

MADE = model()
LOG = rows(2)
WISHES = [
    parse_injection(f"{text} from=2026-03-01T00:30:00Z to=2026-03-01T01:30:00Z")
    for text in ("feature=x shift=0.5sd", "feature=x null=20%", "feature=colour share=red:-10%")
]
CHANGES = [change_of(wish, schema_for(MADE), reference(MADE)) for wish in WISHES]


def injected(cuts: list[int], *, ids: bool) -> pl.DataFrame:
    columns = MADE.columns.model_copy(update={"timestamp_unit": "auto", "prediction_id": "id" if ids else ""})
    frame = LOG if ids else LOG.drop("id")
    bounds = [0, *sorted(cuts), LOG.height]
    chunks = tuple(Decoded(frame[a:b], b - a, lambda row: (row, "")) for a, b in pairwise(bounds))
    made = Injector(CHANGES, columns).around(lambda _: chunks)(Batch("predictions-0", Position()))
    return pl.concat([chunk.frame for chunk in made])


@given(st.lists(st.integers(0, LOG.height), max_size=5), st.booleans())
def test_cuts_do_not_matter(cuts: list[int], ids: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
    assert injected(cuts, ids=ids).equals(injected([], ids=ids))
