"""How often attribution names the right feature: `python -m benchmarks.attribution` writes ATTRIBUTION.md."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import machine
from detectors.attribution import Attribution, attribute
from detectors.joint import Joint
from detectors.moves import moved
from detectors.profile import NumericGrid, NumericSummary
from detectors.table import Floats
from monitor.core.reference import numeric_grid

FEATURES, REFERENCE, SHIFT, TRIALS = 25, 10_000, 0.5, 100
SAMPLED = 2000
TOLD = ("first", "alone", "together", "agree", "pair")
NEIGHBOURS = 5
PAGE = Path(__file__).with_name("ATTRIBUTION.md")


@dataclass(frozen=True, slots=True)
class Case:
    """What is drawn: rows of the window, the correlation of any two features, and how the one moves."""

    rows: int
    correlation: float
    how: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether the moved feature came first: of both rankings, alone, together; and what else was said."""

    first: bool
    alone: bool
    together: bool
    agree: bool
    pair: bool
    seconds: float


def main() -> None:
    """Measure, and write the page."""
    cases = [Case(n, r, how) for how in HOW for r in (0.3, 0.6, 0.9) for n in (200, 500, 2000)]
    rows = [(case, [trial(case, seed) for seed in range(TRIALS)]) for case in cases]
    PAGE.write_text(_page(rows), encoding="utf-8")


def trial(case: Case, seed: int) -> Outcome:
    """Draw a reference and a window, move one feature, and ask."""
    rng = np.random.default_rng((seed, case.rows, round(100 * case.correlation)))
    place = int(rng.integers(FEATURES))
    before, after = (_draw(rng, n, case.correlation) for n in (REFERENCE, case.rows))
    HOW[case.how](after, place, case.correlation)
    names = tuple(f"f{i}" for i in range(FEATURES))
    pairs = [_summaries(name, before[:, i], after[:, i]) for i, name in enumerate(names)]
    joints = [_joint(names, part[:SAMPLED]) for part in (before, after)]
    began = time.perf_counter()
    found = attribute({name: moved(*pair) for name, pair in zip(names, pairs, strict=True)}, *joints)
    return _outcome(found, names[place], time.perf_counter() - began)


def _joint(names: tuple[str, ...], rows: Floats) -> Joint:
    return Joint(names, rows, np.zeros((len(rows), 0), np.int32))


def _outcome(found: Attribution, name: str, seconds: float) -> Outcome:
    first = found.parts[0].feature == name
    alone = max(found.parts, key=lambda part: part.alone).feature == name
    together = max(found.parts, key=lambda part: part.together or 0.0).feature == name
    return Outcome(first, alone, together, bool(found.agree), name in found.pair, seconds)


def _draw(rng: np.random.Generator, rows: int, correlation: float) -> Floats:
    common = rng.normal(size=(rows, 1))
    own = rng.normal(size=(rows, FEATURES))
    return np.asarray(np.sqrt(correlation) * common + np.sqrt(1.0 - correlation) * own)


def _alone(rows: Floats, place: int, _: float) -> None:
    rows[:, place] += SHIFT


def _with_others(rows: Floats, place: int, correlation: float) -> None:
    """Move the one, and those that hang on it by what it explains of them."""
    _alone(rows, place, correlation)
    for step in range(1, NEIGHBOURS + 1):
        rows[:, (place + step) % FEATURES] += correlation * SHIFT


def _turned(rows: Floats, place: int, _: float) -> None:
    """Turn one feature round: its distribution stays, what it has to do with the others does not."""
    rows[:, place] = -rows[:, place]


HOW = {"moved alone": _alone, "moved with five that hang on it": _with_others, "turned round": _turned}


def _summaries(name: str, before: Floats, after: Floats) -> tuple[NumericSummary, NumericSummary]:
    grid = numeric_grid(name, pl.Series(before))
    return _summary(grid, before), _summary(grid, after)


def _summary(grid: NumericGrid, values: Floats) -> NumericSummary:
    bounds = [np.nextafter(grid.lo, -np.inf), *grid.edges, grid.hi]
    counts = np.bincount(np.searchsorted(bounds, values), minlength=grid.bins + 2)
    spread = (float(values.sum()), float(values.var()), float(values.min()), float(values.max()))
    return NumericSummary(grid, len(values), counts, 0, 0, 0, 0, 0, *spread)


def _page(rows: Sequence[tuple[Case, list[Outcome]]]) -> str:
    about = machine.describe()
    lines = [
        "# Attribution: is the feature that moved named first?",
        "",
        "Written by `python -m benchmarks.attribution`; do not edit.",
        "",
        f"- Date: {about.date}",
        f"- Versions: {about.versions}",
        "",
        f"{TRIALS} draws of {FEATURES} normal features of which any two have the same correlation, a",
        f"reference of {REFERENCE:,} rows. One feature, another one each time, is moved in the window by",
        f"{SHIFT} standard deviations. How often of {TRIALS} it comes first: by both rankings, by each, and",
        "in how many both agree.",
        "Turned round (its sign changed), a feature keeps its distribution: alone it shows nothing.",
        "`pair`: how often it is one of the two that are said to go together otherwise.",
        "The time is one attribution's, without what each feature shows alone.",
        "",
        "| the feature is | correlation | rows | first | alone | together | agree | pair | ms |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for case, found in rows:
        counts = [sum(getattr(o, name) for o in found) for name in TOLD]
        spent = 1000 * float(np.median([o.seconds for o in found]))
        told = " | ".join(str(count) for count in counts)
        lines.append(f"| {case.how} | {case.correlation} | {case.rows:,} | {told} | {spent:.0f} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
