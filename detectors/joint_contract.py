"""The laws that every multivariate detector keeps, as functions that say how one was broken.

Whoever adds a detector hands it to each of `LAWS` together with a `Bench` of rows.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from detectors.encoding import part
from detectors.joint import Compare, Comparison, Joint

LEVELS = (0.2, 1e-2, 1e-6, 1e-40, 1e-290)
BUDGETED = LEVELS[2]
TOGETHER = 1e-6
"""How far shares may be from 1, and p-values from each other, by rounding."""


class Bench(Struct, frozen=True):
    """What the laws are tried on: the same columns, numeric ones and, but for embeddings, categories.

    calm: rows distributed as the reference. shifted: rows that every detector under test must find.
    """

    reference: Joint
    calm: Joint
    shifted: Joint


def _of(compare: Compare, bench: Bench, window: Joint, level: float = 1e-3) -> Comparison:
    return compare(bench.reference, window, level, {}, 1)


def _unsound(found: Comparison, level: float) -> Iterator[str]:
    numbers = (found.score, found.threshold, found.pvalue, found.effect, *(share for _, share in found.parts))
    if not all(map(math.isfinite, numbers)):
        yield f"not finite: {found}"
    if not 0.0 <= found.pvalue <= 1.0 or found.effect < 0.0:
        yield f"a p-value beyond 0 to 1, or an effect below 0: {found}"
    if (found.score > found.threshold) != (found.pvalue < level):
        yield f"above the threshold, but not below the level {level}, or the other way: {found}"
    shares = [share for _, share in found.parts]
    if shares and (abs(sum(shares) - 1.0) > TOGETHER or shares != sorted(shares, reverse=True)):
        yield f"shares that are not sorted or do not sum to 1: {found}"


def the_numbers_are_sound(compare: Compare, bench: Bench) -> Iterator[str]:
    """Demand finite numbers, and a score above the threshold exactly where the p-value is below the level."""
    for window in (bench.calm, bench.shifted, bench.reference):
        for level in LEVELS:
            yield from _unsound(_of(compare, bench, window, level), level)


def the_reference_itself_is_calm(compare: Compare, bench: Bench) -> Iterator[str]:
    """Demand that a window of exactly the reference's rows is no breach."""
    found = _of(compare, bench, bench.reference, LEVELS[1])
    if found.score > found.threshold:
        yield f"the reference's own rows are a breach: {found}"


def a_huge_shift_breaches(compare: Compare, bench: Bench) -> Iterator[str]:
    """Demand a breach by the shifted rows, with a larger effect than that of the calm ones."""
    found, calm = (_of(compare, bench, window, BUDGETED) for window in (bench.shifted, bench.calm))
    if found.score <= found.threshold:
        yield f"the shifted rows are no breach: {found}"
    if found.effect <= calm.effect:
        yield f"the shifted rows have no larger effect: {found}, {calm}"


def one_seed_gives_one_answer(compare: Compare, bench: Bench) -> Iterator[str]:
    """Demand the same comparison of the same rows and seed, to the bit."""
    if _of(compare, bench, bench.shifted) != _of(compare, bench, bench.shifted):
        yield "the same rows are judged differently the second time"


def the_order_of_rows_decides_nothing(compare: Compare, bench: Bench) -> Iterator[str]:
    """Demand the same verdicts of shuffled rows; scores may differ where a detector draws some of them."""
    order = np.random.default_rng(3).permutation
    for window in (bench.calm, bench.shifted):
        plain = _of(compare, bench, window)
        turned = replace(bench, reference=part(bench.reference, order(bench.reference.rows)))
        shuffled = _of(compare, turned, part(window, order(window.rows)))
        if (plain.score > plain.threshold) != (shuffled.score > shuffled.threshold):
            yield f"shuffled rows are judged differently: {plain}, {shuffled}"


def too_few_rows_are_refused(compare: Compare, bench: Bench) -> Iterator[str]:
    """Demand a ValueError, which says how many rows there are, of a window or a reference of few rows."""
    few = np.arange(3)
    for reference, window in (
        (bench.reference, part(bench.calm, few)),
        (part(bench.reference, few), bench.calm),
        (bench.reference, part(bench.calm, few[:0])),
    ):
        try:
            compare(reference, window, 1e-3, {}, 1)
        except ValueError as error:
            if "rows" not in str(error):
                yield f"it does not say that rows are too few: {error}"
        else:
            yield f"{window.rows} rows and {reference.rows} of the reference are judged"


def other_columns_are_refused(compare: Compare, bench: Bench) -> Iterator[str]:
    """Demand a ValueError where window and reference do not have the same columns."""
    try:
        _of(compare, bench, replace(bench.calm, columns=bench.calm.columns[::-1]))
    except ValueError as error:
        if "column" not in str(error):
            yield f"it does not say that the columns differ: {error}"
    else:
        yield "columns of other names are compared"


def constants_and_extremes_are_no_trouble(compare: Compare, bench: Bench) -> Iterator[str]:
    """Demand sound numbers where a column is constant, where it holds huge values, and where it was so."""
    for value in (4.0, 1e300):
        constant = bench.reference.numeric.copy()
        constant[:, 0] = value
        still = replace(bench.reference, numeric=constant)
        for reference, window in ((still, still), (still, bench.calm), (bench.reference, still)):
            yield from _unsound(compare(reference, window, 1e-3, {}, 1), 1e-3)


LAWS: Mapping[str, Callable[[Compare, Bench], Iterator[str]]] = MappingProxyType(
    {
        law.__name__: law
        for law in (
            the_numbers_are_sound,
            the_reference_itself_is_calm,
            a_huge_shift_breaches,
            one_seed_gives_one_answer,
            the_order_of_rows_decides_nothing,
            too_few_rows_are_refused,
            other_columns_are_refused,
            constants_and_extremes_are_no_trouble,
        )
    }
)


def missing_values_are_no_trouble(compare: Compare, bench: Bench) -> Iterator[str]:
    """Demand sound numbers where values are missing, in all rows too, and unknown categories.

    Not of cosine, which needs whole rows.
    """
    holes = bench.calm.numeric.copy()
    holes[::7, 0] = np.nan
    holes[:, -1] = np.nan
    nowhere = replace(bench.calm, numeric=holes, codes=np.full_like(bench.calm.codes, -1))
    unknown = replace(bench.calm, codes=bench.calm.codes + 100)
    nothing = replace(nowhere, numeric=np.full_like(holes, np.nan))
    for reference, window in (
        (bench.reference, nowhere),
        (nowhere, nowhere),
        (nowhere, bench.calm),
        (bench.reference, unknown),
        (nothing, nothing),
    ):
        yield from _unsound(compare(reference, window, 1e-3, {}, 1), 1e-3)
