"""Scores of many features by one statistic: those whose counts have one shape are scored by one call.

A window of 25 features and nine statistics is some sixty calls instead of two hundred, and all of a call's
cost at ten cells is the call itself. Each score is the one that the feature would get alone, to the bit.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from detectors.comparison import Comparison
from detectors.monitors import FAILURES
from detectors.statistic import Statistic


@dataclass(frozen=True, slots=True)
class Scored:
    """A feature's score and, of a test, its p-value."""

    score: float
    pvalue: float | None


Scores = dict[str, Scored | Exception]
"""By feature."""


def score_all(row: Statistic, features: Mapping[str, Comparison | Exception]) -> Scores:
    """Score each feature; what fails for one stands as its exception and does not touch the others."""
    found: Scores = {name: one for name, one in features.items() if isinstance(one, Exception)}
    for alike in _alike(row, {n: one for n, one in features.items() if isinstance(one, Comparison)}):
        try:
            found |= _together(row, alike)
        except FAILURES:
            found |= {name: _alone(row, comparison) for name, comparison in alike.items()}
    return found


def _alike(row: Statistic, features: Mapping[str, Comparison]) -> Iterator[dict[str, Comparison]]:
    """Yield features that can be scored together: as many cells; the places of cells are each one's own."""
    by_shape: dict[object, dict[str, Comparison]] = {}
    for name, comparison in features.items():
        shape = name if row.takes == "places" else _cells(row, comparison)
        by_shape.setdefault(shape, {})[name] = comparison
    yield from by_shape.values()


def _cells(row: Statistic, comparison: Comparison) -> int:
    if row.takes == "groups" and comparison.starts is not None:
        return len(comparison.starts)
    return int(comparison.reference.shape[-1])


def _together(row: Statistic, alike: Mapping[str, Comparison]) -> Scores:
    if len(alike) == 1:
        return {name: _alone(row, comparison) for name, comparison in alike.items()}
    p, q = map(np.stack, zip(*(row.arguments(one) for one in alike.values()), strict=True))
    scores = row.score(p, q).tolist()
    pvalues = [None] * len(alike) if row.pvalue is None else row.pvalue(p, q).tolist()
    return {n: Scored(score, pvalue) for n, score, pvalue in zip(alike, scores, pvalues, strict=True)}


def _alone(row: Statistic, comparison: Comparison) -> Scored | Exception:
    try:
        arguments = row.arguments(comparison)
        return Scored(
            float(row.score(*arguments)), None if row.pvalue is None else float(row.pvalue(*arguments))
        )
    except FAILURES as error:
        return error
