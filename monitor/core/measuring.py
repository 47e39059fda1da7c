"""Measuring a reference: how good its own predictions were, and what errors to expect of which rows."""

import numpy as np
import polars as pl
from msgspec.structs import replace
from numpy.typing import NDArray

from detectors.direct_loss import fit_loss
from detectors.measure import Scored
from detectors.profile import CategoryGrid, Grid
from detectors.regression import error_edges, near
from monitor.config import Model
from monitor.core.kernels import category_codes
from monitor.core.outcomes import Vocabulary, own_labels, waiting
from monitor.core.profiles import ALL
from monitor.core.reference import Baseline, common
from monitor.core.standard import GROUP, GROUP_VALUES, Standard, label_codes, layout, measure_of
from monitor.core.usual import usual_of
from monitor.core.vectors import with_cosines
from monitor.errors import ReferenceUnusableError
from monitor.types import TypedRows

Floats = NDArray[np.float64]
SEED = 1
LEAST_FIT = 200
"""Labelled rows that a model of losses needs at least."""
ROUNDING = 1e-6
"""Probabilities in single precision can be so far beyond 0 and 1."""


def measured(model: Model, baseline: Baseline, rows: TypedRows) -> Standard:
    """Return the standard of a reference's typed rows; those with a column `label` are measured.

    A regression's model of losses takes seconds to fit: the standard is pending until `fitted` has done so.
    ReferenceUnusableError: the scores of a classifier are no probabilities.
    """
    vocabulary = Vocabulary.of(model)
    frame = waiting(vocabulary, rows)
    if vocabulary.classes:
        _check_scores(model, baseline.origin, frame.select(vocabulary.scores))
    values: dict[str, tuple[str, ...]] = dict(baseline.segments)
    for column in model.columns.groups:
        values[f"{GROUP}{column}"] = common(frame[f"{GROUP}{column}"], GROUP_VALUES)
    empty = Standard(baseline.number, values, layout=layout(model))
    if "label" not in rows.frame.columns or model.task == "none":
        return empty
    scored = vocabulary.scored(frame, own_labels(vocabulary, rows))
    if not np.isfinite(scored.label).any():
        return empty
    enough = np.count_nonzero(_usable(scored)) >= LEAST_FIT
    standard = _with_sums(model, vocabulary, empty, (frame, scored))
    return replace(standard, pending=model.task == "regression" and bool(enough))


def fitted(model: Model, baseline: Baseline, rows: TypedRows, standard: Standard) -> Standard:
    """Return the standard that `measured` gave for these rows, with its model of losses."""
    if not standard.pending:
        return standard
    vocabulary = Vocabulary.of(model)
    scored = vocabulary.scored(waiting(vocabulary, rows), own_labels(vocabulary, rows))
    return replace(standard, loss=_losses(baseline.grid, rows, scored), pending=False)


def _check_scores(model: Model, origin: str, scores: pl.DataFrame) -> None:
    named = model.columns.score
    columns = tuple(named.values()) if isinstance(named, dict) else (named,)
    for column, score in zip(columns, scores, strict=False):  # without scores it is one empty name
        seen = score.filter(score.is_finite()).to_numpy()
        if len(seen) and not (seen.min() >= -ROUNDING and seen.max() <= 1.0 + ROUNDING):
            raise ReferenceUnusableError(
                f"{origin}: {column} holds {seen.min():g} to {seen.max():g}; "
                "probabilities of 0 to 1 are needed"
            )


def _usable(scored: Scored) -> NDArray[np.bool_]:
    return near(scored.prediction) & near(scored.label)


def _with_sums(
    model: Model, vocabulary: Vocabulary, empty: Standard, rows: tuple[pl.DataFrame, Scored]
) -> Standard:
    frame, scored = rows
    edges: tuple[float, ...] = ()
    centre = 0.0
    if model.task == "regression":
        usable, known = _usable(scored), near(scored.label)
        edges = error_edges(scored.prediction[usable] - scored.label[usable])
        centre = float(scored.label[known].mean()) if known.any() else 0.0
    laid_out = replace(empty, edges=edges, centre=centre)
    measure = measure_of(model, vocabulary, laid_out)
    sums = {
        name: found
        for labels, codes in label_codes(frame, empty.values)
        for name, found in zip(labels, measure.sums(scored, codes, len(labels)), strict=True)
    }
    return replace(laid_out, sums={ALL: sums[ALL], **sums}, usual=usual_of(model, scored))


def _losses(grid: Grid, rows: TypedRows, scored: Scored) -> bytes:
    """Fit what errors to expect to the features, as the bottom-k samples hold them."""
    usable = _usable(scored)
    frame = with_cosines(grid.embeddings, rows.frame)
    columns = [frame[f.name].to_numpy() + 0.0 for f in grid.numeric if f.name != "prediction"]
    columns += [_codes(f, frame[f.name]) for f in grid.categorical]
    features = np.column_stack(columns) if columns else np.empty((len(usable), 0))
    features = np.where(np.isfinite(features), features, np.nan)[usable]
    return fit_loss(features, scored.prediction[usable], scored.label[usable], SEED).dump()


def _codes(grid: CategoryGrid, column: pl.Series) -> Floats:
    return category_codes(grid, column).astype(np.float64)
