"""What alibi-detect answered, as a comparison at driftd's level."""

from collections.abc import Mapping, Sequence
from math import isfinite, log10, sqrt

import numpy as np

from detectors.alibi_arrays import Request
from detectors.joint import Comparison
from detectors.permuted import null_law
from detectors.profile import Floats

SMALLEST = 1e-300
LEAST = 1e-9
"""The lowest threshold: scores are divided by it, and at levels near 1/2 a law's limit is not above 0."""
NEARLY = 1.0 - 1e-12
FOLDS = 1.4
"""How many times larger the statistic's variance is of folds than of rows apart; benchmarks/alibi.py."""
Parts = tuple[tuple[str, float], ...]


def comparison(asked: Request, answer: Mapping[str, object], level: float) -> Comparison:
    """Return what an answer means at a level.

    Tests of columns and classifiers: score is -log10 of the p-value, all columns together. The others: score
    is the statistic; its p-value and threshold are of the law fitted to the values it had on permuted or
    redrawn rows. ValueError: the answer has no finite numbers where there must be some.

    Examples
    --------
    >>> sides = np.zeros((20, 1)), np.ones((20, 1))
    >>> asked = Request("ks", {"correction": "bonferroni"}, 0, ("age",), (0,), (), *sides)
    >>> found = comparison(asked, {"pvalues": [1e-6], "distances": [0.4]}, 1e-3)
    >>> found.score, found.threshold, found.pvalue, found.effect
    (6.0, 3.0, 1e-06, 0.4)

    """
    if asked.offer.by_column and not asked.offer.stream:
        return _of_columns(asked, _numbers(answer, "pvalues"), _numbers(answer, "distances"), level)
    if "null" in answer:
        return _of_law(asked, answer, level)
    own, distance = _number(answer, "pvalue"), max(0.0, _number(answer, "distance"))
    folds = bool(asked.options.get("n_folds"))
    pvalue = own ** (1.0 / FOLDS) if folds else own
    told = f"its own p-value is {own:.3g}, of folds that know of one another" if folds else ""
    note = "; ".join(said for said in (told, asked.note) if said)
    diffs = _numbers(answer, "diffs") if "diffs" in answer else []
    parts = _shares(asked, np.abs(np.asarray(diffs)).reshape(-1, len(asked.owners)).sum(axis=0))
    return Comparison(*_surprise(pvalue, level), pvalue, distance, parts, note)


def _of_columns(
    asked: Request, pvalues: Sequence[float], distances: Sequence[float], level: float
) -> Comparison:
    found = np.clip(np.asarray(pvalues), SMALLEST, 1.0)
    if (
        asked.options.get("correction") == "fdr"
    ):  # the smallest level at which Benjamini and Hochberg find one
        together = float(np.min(np.sort(found) * found.size / np.arange(1, found.size + 1)))
    else:
        together = sidak(float(found.min()), found.size)
    worst = int(found.argmin())
    effect = _effect(asked, worst, distances[worst])
    parts = _shares(asked, -np.log10(found))
    return Comparison(*_surprise(together, level), together, effect, parts, asked.note)


def sidak(pvalue: float, columns: int) -> float:
    """Return the p-value of the least of several: Bonferroni's, nearly, but not 1 where there are many.

    Calm p-values that are 1 look, among the reference's own windows, like windows that differ much.

    >>> round(sidak(1e-5, 100), 7), round(sidak(0.02, 100), 2)
    (0.0009995, 0.87)
    """
    return float(-np.expm1(columns * np.log1p(-min(pvalue, NEARLY))))


def _of_law(asked: Request, answer: Mapping[str, object], level: float) -> Comparison:
    score, null = _number(answer, "score"), _numbers(answer, "null")
    law = null_law(null)
    if asked.offer.stream:
        return Comparison(score, max(LEAST, law.limit(level)), law.tail(score), score, (), asked.note)
    own = f"its own p-value is {_number(answer, 'pvalue'):.3g} of {len(null)} permutations"
    note = "; ".join(said for said in (own, asked.note) if said)
    return Comparison(score, max(LEAST, law.limit(level)), law.tail(score), sqrt(max(0.0, score)), (), note)


def _surprise(pvalue: float, level: float) -> tuple[float, float]:
    return -log10(max(pvalue, SMALLEST)) + 0.0, -log10(level)


def _effect(asked: Request, column: int, distance: float) -> float:
    """Return how far a column moved: from 0 to 1, whatever the number of rows."""
    before, now = len(asked.reference), len(asked.window)
    if asked.detector == "fet":
        return abs(float(asked.reference[:, column].mean() - asked.window[:, column].mean()))
    if asked.detector == "cvm":
        return sqrt(max(0.0, distance) * (before + now) / (before * now))
    if column in asked.categories:
        return sqrt(max(0.0, distance) / (before + now))
    return distance


def _shares(asked: Request, weights: Floats) -> Parts:
    """Return the columns' shares, the largest first; none where nothing weighs."""
    total = float(weights.sum())
    if not isfinite(total) or total <= 0.0:
        return ()
    sums = np.bincount(asked.owners, weights, minlength=len(asked.columns)) / total
    order = np.argsort(-sums, kind="stable")
    return tuple((asked.columns[i], float(sums[i])) for i in order)


def _number(answer: Mapping[str, object], name: str) -> float:
    found = answer.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float) or not isfinite(found):
        raise ValueError(f"alibi-detect's answer has no finite {name}")
    return float(found)


def _numbers(answer: Mapping[str, object], name: str) -> list[float]:
    found = answer.get(name)
    values = found if isinstance(found, list) else []
    return [_number({name: value}, name) for value in values]
