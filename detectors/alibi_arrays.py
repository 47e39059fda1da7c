"""Rows as alibi-detect takes them: complete ones, as one matrix for each side."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from detectors.alibi import ALIBI, PREFIX, TAKES, Offer, completed
from detectors.joint import Joint, Option
from detectors.profile import Floats

LEAST_ROWS = 20
FARTHEST = 1e6
"""Standard deviations: what is farther out counts as this far, so that single precision holds its square."""
COMMON = 20
"""Categories of a column that get an indicator of their own among whole rows."""


class Request(Struct, frozen=True, eq=False):
    """What the worker is asked.

    detector: without the prefix. reference, window: float [rows, D], the same columns, all finite.
    owners: for each of the D the column it was made of. categories: which of the D are codes. note: what was
    left out.
    """

    detector: str
    options: Mapping[str, Option]
    seed: int
    columns: tuple[str, ...]
    owners: tuple[int, ...]
    categories: tuple[int, ...]
    reference: Floats
    window: Floats
    note: str = ""

    @property
    def offer(self) -> Offer:
        """What the detector is."""
        return ALIBI[self.detector]


def request(
    detector: str, reference: Joint, window: Joint, options: Mapping[str, Option], seed: int
) -> Request:
    """Return what to ask the worker. detector: with the prefix.

    Rows with a missing number are left out (a missing category is a category), then all beyond the option
    `rows`. ValueError: too few rows, a column that the detector does not take, or a wrong option.
    """
    chosen, offer = completed(detector, options), ALIBI[detector.removeprefix(PREFIX)]
    if reference.columns != window.columns:
        raise ValueError("the reference and the window have other columns")
    if refused := _wrong(offer, reference):
        raise ValueError(f"{detector} takes {TAKES[offer.takes]}, not {refused}")
    sides = [_complete(side, int(chosen["rows"])) for side in (reference, window)]
    for name, side in zip(("reference", "window"), sides, strict=True):
        if side.rows < LEAST_ROWS:
            raise ValueError(f"the {name} has {side.rows} complete rows; {detector} needs {LEAST_ROWS}")
    made = list(_by_column(offer, *sides) if offer.by_column else _whole(*sides))
    first, second = (np.concatenate([pair[i] for _, pair in made], axis=1) for i in (0, 1))
    owners = tuple(owner for owner, pair in made for _ in range(pair[0].shape[1]))
    n = reference.numeric.shape[1]
    codes = tuple(i for i, owner in enumerate(owners) if owner >= n) if offer.by_column else ()
    name = detector.removeprefix(PREFIX)
    note = _left_out(reference, window)
    return Request(name, chosen, seed, reference.columns, owners, codes, first, second, note)


def _wrong(offer: Offer, side: Joint) -> str:
    """Name what a detector does not take, "" where it takes all."""
    if not side.columns:
        return "none"
    if side.vectors and not offer.of_vectors:
        return "embeddings"
    return ", ".join(side.columns[i] for i in _refused(offer, side))


def _refused(offer: Offer, side: Joint) -> Iterator[int]:
    n = side.numeric.shape[1]
    for i in range(len(side.columns)):
        known = side.numeric[:, i][np.isfinite(side.numeric[:, i])] if i < n else None
        yes_or_no = known is None or bool(np.isin(known, (0.0, 1.0)).all())
        numeric = i < n
        fits = {"numeric": numeric, "categorical": not numeric, "binary": yes_or_no, "any": True}
        if not fits[offer.takes]:
            yield i


def _complete(side: Joint, rows: int) -> Joint:
    kept = np.flatnonzero(np.isfinite(side.numeric).all(axis=1))[:rows]
    return replace(side, numeric=side.numeric[kept], codes=side.codes[kept])


def _left_out(*sides: Joint) -> str:
    lost = sum(int((~np.isfinite(side.numeric).all(axis=1)).sum()) for side in sides)
    return f"{lost} rows with missing numbers left out" if lost else ""


Pair = tuple[Floats, Floats]


def _by_column(offer: Offer, reference: Joint, window: Joint) -> Iterator[tuple[int, Pair]]:
    """Yield each column as one: numbers as they are, codes as numbers, or as yes and no."""
    n = reference.numeric.shape[1]
    for i in range(n):
        pair = reference.numeric[:, [i]], window.numeric[:, [i]]
        if offer.takes == "binary" and not np.isin(pair[1], (0.0, 1.0)).all():
            raise ValueError(f"{reference.columns[i]} has other values than 0 and 1 in the window")
        yield i, pair
    for j in range(reference.codes.shape[1]):
        pair = reference.codes[:, [j]].astype(np.float64), window.codes[:, [j]].astype(np.float64)
        if offer.takes == "binary":
            values, counts = np.unique(pair[0], return_counts=True)
            common = values[counts.argmax()]
            pair = (pair[0] == common).astype(np.float64), (pair[1] == common).astype(np.float64)
        yield n + j, pair


def _whole(reference: Joint, window: Joint) -> Iterator[tuple[int, Pair]]:
    """Yield each column as numbers that weigh alike: in standard deviations, or indicators.

    An embedding's coordinates have one unit together: what one of them tells is how far it varies.
    """
    n = reference.numeric.shape[1]
    means, units = _scale(reference)
    with np.errstate(over="ignore"):  # what is infinite is clipped
        sides = [(side.numeric - means) / units for side in (reference, window)]
    first, second = (np.clip(side, -FARTHEST, FARTHEST) for side in sides)
    for i in range(n):
        yield i, (first[:, [i]], second[:, [i]])
    for j in range(reference.codes.shape[1]):
        before, now = reference.codes[:, [j]], window.codes[:, [j]]
        values, counts = np.unique(before, return_counts=True)
        common = values[np.argsort(-counts, kind="stable")[:COMMON]]
        yield n + j, (_indicators(before, common), _indicators(now, common))


def _scale(reference: Joint) -> Pair:
    """Return the mean of each numeric column, and its standard deviation; 1 where that is 0."""
    largest = np.abs(reference.numeric).max(axis=0, initial=0.0)
    largest = np.where(largest > 0, largest, 1.0)  # so that no square overflows
    near = reference.numeric / largest
    spreads = near.std(axis=0) * largest
    if reference.vectors:
        spreads = np.full(len(spreads), np.sqrt(np.square(spreads).mean()))
    return near.mean(axis=0) * largest, np.where(spreads > 0, spreads, 1.0)


def _indicators(codes: NDArray[np.int32], common: Iterable[int]) -> Floats:
    """Return a column for each common code, and one for the rest: [rows, 1] gives [rows, K + 1]."""
    own = codes == np.asarray(common)
    return np.concatenate([own, ~own.any(axis=1, keepdims=True)], axis=1).astype(np.float64)
