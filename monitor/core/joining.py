"""Stored predictions on their way to the join."""

from collections.abc import Callable, Iterator

import numpy as np
import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from monitor.core.assessing import Assessor
from monitor.core.ledger import hear, remember
from monitor.core.outcomes import own_outcomes, waiting
from monitor.core.pile import Keep
from monitor.core.standard import Standard
from monitor.core.state import ModelState
from monitor.core.windows import distinct
from monitor.types import Changes, TypedRows


class Joining(Struct, frozen=True):
    """What the join needs: who measures, and how rows that wait are written; None where none come.

    finish: gives the newest reference's standard when its model of losses is fitted, waiting for it.
    """

    assessor: Assessor
    keep: Keep | None
    finish: Callable[[], Standard] | None = None


def with_losses(joining: Joining, state: ModelState) -> tuple[ModelState, Changes]:
    """Take on the model of losses that is still pending, before the first window that needs it is closed."""
    if joining.finish is None or not any(s.pending for s in state.labels.standards):
        return state, {}
    done = joining.finish()
    standards = tuple(done if s.number == done.number else s for s in state.labels.standards)
    changes: Changes = {("standard", state.model, str(done.number)): done.dump()}
    return replace(state, labels=replace(state.labels, standards=standards)), changes


def await_outcomes(joining: Joining, state: ModelState, rows: TypedRows) -> tuple[ModelState, Changes]:
    """Remember stored rows until their outcomes come; what a row holds itself is an outcome at once."""
    assessor, labels, changes = joining.assessor, state.labels, Changes()
    frame = waiting(assessor.vocabulary, rows, identified=joining.keep is not None)
    for place, part in _by_baseline(state, frame, rows):
        standard = labels.standard_at(state.baselines[place - 1].number if place else 0)
        kept = remember(assessor, labels, standard, part, joining.keep)
        labels = kept.labels
        changes |= kept.changes
    state, heard = hear_own(joining, replace(state, labels=labels), rows)
    return state, changes | heard


def _by_baseline(
    state: ModelState, frame: pl.DataFrame, rows: TypedRows
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield the rows by how many references there were at their time; nearly always all by the newest."""
    since = [baseline.since for baseline in state.baselines]
    if frame.height and since and since[-1] <= int(rows.time.min()):
        yield len(since), frame
        return
    at = np.searchsorted(since, rows.time, side="right")
    for place in distinct(at):
        chosen = np.flatnonzero(at == place)
        yield place, frame if len(chosen) == frame.height else frame[chosen]


def hear_own(joining: Joining, state: ModelState, rows: TypedRows) -> tuple[ModelState, Changes]:
    """Take the outcomes that rows of predictions hold themselves."""
    if joining.keep is None or "label" not in rows.frame.columns:
        return state, {}
    own = own_outcomes(joining.assessor.vocabulary, rows)
    kept, _ = hear(joining.assessor.plan, state.labels, own, joining.keep)
    return replace(state, labels=kept.labels), kept.changes
