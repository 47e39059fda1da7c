"""Which features changed most in a window: two rankings, one of each feature alone, one of all together.

Alone: how far what is read off the feature (readings.py) is from what is usual, as a share of how far it may
be. Together: a linear classifier tells the window's sampled rows from the reference's by each column's normal
score, its square, whether it is missing, and which category; a feature's part is what the classifier loses
without it, and what its correlations with others have changed by. A feature that moved only because another
one did is not missed.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.joint import Joint
from detectors.probability import normal_quantile
from detectors.table import Floats

RIDGE = 1e-3
COMMON = 6
"""Categories with a column of their own."""
FEW = 30
"""Of fewer sampled rows nothing is said together."""
ENOUGH = 1000
"""So many rows of each sample tell enough, in milliseconds."""
CHANCE = 3.0
"""What a column adds by chance, times this, counts for nothing."""
NEARLY = 0.9
SURE = 25.0
"""A pair's correlation has changed when the square of its z-score is above this, beyond what pairs make."""


class Part(Struct, frozen=True):
    """One feature's part in the change.

    ratio: its deviation alone over how far it may be, above 1 is more than usual. share: of both rankings, 0
    to 1; all features' sum to 1 where anything changed. alone, together: of each ranking, likewise; together
    is None where the rows were not looked at. effect: in standard deviations (of shares: see readings.py),
    what: which reading.
    """

    feature: str
    ratio: float
    share: float
    alone: float
    together: float | None
    effect: float
    what: str = ""


class Attribution(Struct, frozen=True):
    """The features that changed, the largest part first.

    agree: whether both rankings name the same feature first; None where one of them says nothing. pair: the
    two features whose correlation changed most, where it did.
    """

    parts: tuple[Part, ...]
    agree: bool | None
    pair: tuple[str, ...] = ()


class Moved(Struct, frozen=True):
    """What a feature alone shows. ratio: its deviation over how far it may be, effect and what as in Part."""

    ratio: float
    effect: float
    what: str


def attribute(moved: dict[str, Moved], reference: Joint | None, window: Joint | None) -> Attribution:
    """Rank features by their part in the change; without samples by what each shows alone.

    Examples
    --------
    Of three features that go together one has moved:

    >>> rng = np.random.default_rng(1)
    >>> rows = rng.normal(size=(2000, 1)) + 0.5 * rng.normal(size=(2000, 3))
    >>> rows[1000:, 1] += 0.5
    >>> none = np.zeros((1000, 0), np.int32)
    >>> before, after = (Joint(("a", "b", "c"), part, none) for part in (rows[:1000], rows[1000:]))
    >>> alone = {"a": Moved(0.4, 0.1, ""), "b": Moved(2.2, 0.4, "location"), "c": Moved(0.3, 0.1, "")}
    >>> found = attribute(alone, before, after)
    >>> [part.feature for part in found.parts[:1]], found.agree
    (['b'], True)

    """
    names = list(moved)
    alone = _shared(np.square([moved[name].ratio for name in names]))
    both = reference is not None and window is not None and min(reference.rows, window.rows) >= FEW
    told, pair = _together(reference, window) if reference and window and both else ({}, ())
    together = _shared(np.array([told.get(name, 0.0) for name in names]))
    rankings = [ranking for ranking in (alone, together) if ranking.any()]
    share = np.mean(rankings, axis=0) if rankings else np.zeros(len(names))
    order = sorted(range(len(names)), key=lambda i: (-share[i], names[i]))
    parts = tuple(
        Part(
            n,
            moved[n].ratio,
            float(share[i]),
            float(alone[i]),
            float(together[i]) if both else None,
            moved[n].effect,
            moved[n].what,
        )
        for i in order
        for n in (names[i],)
    )
    agree = _agree(alone, together) if len(rankings) > 1 else None
    return Attribution(parts, agree, pair)


def turned(reference: Joint, window: Joint) -> list[str]:
    """Return numeric columns whose correlations with others changed beyond chance, the most changed first."""
    reference, window = _first(reference), _first(window)
    scores = normal_scores(np.concatenate([reference.numeric, window.numeric]), reference.rows)
    apart = _correlations(scores, reference.rows).sum(axis=1)
    return [reference.columns[i] for i in np.argsort(-apart, kind="stable").tolist() if apart[i] > 0]


def _agree(alone: Floats, together: Floats) -> bool:
    """Tell whether the first of one ranking is the first of the other, or as good."""
    first = int(together.argmax())
    return bool(alone[first] >= NEARLY * alone.max())


def _shared(evidence: Floats) -> Floats:
    total = float(evidence.sum())
    return np.asarray(evidence / total if total > 0 and np.isfinite(total) else np.zeros(len(evidence)))


def _together(reference: Joint, window: Joint) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return each column's part in telling the samples apart, and the pair that goes together otherwise."""
    reference, window = _first(reference), _first(window)
    both = Joint(
        reference.columns,
        np.concatenate([reference.numeric, window.numeric]),
        np.concatenate([reference.codes, window.codes]),
    )
    scores = normal_scores(both.numeric, reference.rows)
    label = np.repeat([0.0, 1.0], [reference.rows, window.rows])
    missing, members = np.unique(~np.isfinite(both.numeric), axis=1, return_inverse=True)
    blocks = [*_numeric_blocks(scores), *_category_blocks(both.codes)]
    lost = _lost([*blocks, *(missing[:, [i]].astype(np.float64) for i in range(missing.shape[1]))], label)
    found, gone = lost[: len(blocks)], lost[len(blocks) :]
    for column, pattern in enumerate(members.tolist()):  # what is missing on the same rows shares its part
        found[column] += gone[pattern] / members.tolist().count(pattern)
    apart = _correlations(scores, reference.rows)
    for column, evidence in enumerate(0.5 * apart.sum(axis=1)):
        found[column] += float(evidence)
    return dict(zip(both.columns, found, strict=True)), _pair(both.columns, apart)


def _first(rows: Joint) -> Joint:
    """Return the first of the sampled rows: in the order of their keys, so that they are a sample too."""
    return Joint(rows.columns, rows.numeric[:ENOUGH], rows.codes[:ENOUGH])


def normal_scores(values: Floats, reference: int) -> Floats:
    """Return normal scores of columns [n, C] by ranks among the first `reference` rows; 0 where missing."""
    found = np.zeros(values.shape)
    for column in range(values.shape[1]):
        known = np.sort(values[:reference, column][np.isfinite(values[:reference, column])])
        present = np.isfinite(values[:, column])
        if not len(known):
            continue
        low, high = (np.searchsorted(known, values[present, column], side) for side in ("left", "right"))
        table = normal_quantile((np.arange(2 * len(known) + 1) / 2.0 + 0.5) / (len(known) + 1.0))
        found[present, column] = table[low + high]
    return found


def _numeric_blocks(scores: Floats) -> list[Floats]:
    """Return each column's normal scores and their squares, which are 1 on average; of a missing one 0."""
    squares = np.where(scores == 0.0, 0.0, scores**2 - 1.0)
    return [np.column_stack([scores[:, i], squares[:, i]]) for i in range(scores.shape[1])]


def _category_blocks(codes: NDArray[np.int32]) -> list[Floats]:
    blocks = []
    for column in codes.T:
        values, counts = np.unique(column, return_counts=True)
        common = values[np.argsort(-counts, kind="stable")][:COMMON]
        blocks.append((column[:, None] == common).astype(np.float64))
    return blocks


def _lost(blocks: Sequence[Floats], label: Floats) -> list[float]:
    """Return for each block what the classifier's explained sum of squares loses without it, less chance.

    Linear least squares on the label is Fisher's discriminant; leaving a block B out of it costs
    b' (C_BB)^-1 b with its coefficients b and its part of the inverse C of the sums of products.
    """
    wide = np.concatenate(blocks, axis=1)
    wide = wide - wide.mean(axis=0)
    spread = wide.std(axis=0)
    wide = np.divide(wide, spread, out=np.zeros_like(wide), where=spread > 0)
    y = label - label.mean()
    products = wide.T @ wide
    inverse = np.linalg.inv(products + RIDGE * len(y) * np.eye(len(products)))
    weights = inverse @ (wide.T @ y)
    left = max(float(y @ y - weights @ products @ weights), 1e-12) / max(len(y) - len(weights), 1)
    found, at = [], 0
    for block in blocks:
        own = slice(at, at + block.shape[1])
        at = own.stop
        cost = float(weights[own] @ np.linalg.solve(inverse[own, own], weights[own])) / left
        found.append(max(cost - CHANCE * block.shape[1], 0.0))
    return found


def _pair(columns: Sequence[str], apart: Floats) -> tuple[str, ...]:
    """Return the two columns whose correlation changed most, () if chance would do it."""
    if not apart.any():
        return ()
    first, second = divmod(int(apart.argmax()), len(apart))
    return columns[first], columns[second]


def _correlations(scores: Floats, reference: int) -> Floats:
    """Return the evidence that the correlation of two columns changed, beyond what chance makes: [C, C]."""
    before, after = scores[:reference], scores[reference:]
    apart = (_fisher(after) - _fisher(before)) ** 2 / (1.0 / len(before) + 1.0 / len(after))
    np.fill_diagonal(apart, 0.0)
    return np.asarray(np.maximum(apart - SURE - 2.0 * np.log(max(apart.size, 1)), 0.0))


def _fisher(scores: Floats) -> Floats:
    apart = scores - scores.mean(axis=0)
    size = np.sqrt((apart**2).sum(axis=0))
    unit = np.divide(apart, size, out=np.zeros_like(apart), where=size > 0)
    return np.asarray(np.arctanh(np.clip(unit.T @ unit, -0.999, 0.999)))
