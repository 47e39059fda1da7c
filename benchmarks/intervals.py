"""How often intervals miss: `python -m benchmarks.intervals` writes benchmarks/INTERVALS.md.

Each population is a million rows, so its metrics are known exactly. Windows are drawn from it with
replacement, and so is a reference of 50,000 rows, from which the estimates learn what scores mean. A miss on
the harmful side is an interval that lies wholly on the worse side of the population's value: where nothing
has changed, false alarms are made of these. An exact interval has half of its level on each side.
"""

import argparse
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks import machine
from benchmarks.populations import KINDS, Values, World, worlds
from detectors import estimation
from detectors.class_sums import ClassSums, OpenSums
from detectors.classification import ClassMeasure
from detectors.measure import Better, Estimate, Floats
from detectors.score_calibration import Calibration, fit

REPORT = Path(__file__).parent / "INTERVALS.md"
REFERENCE = 50_000
SIZES = (200, 2_000, 20_000)
LEVELS = (0.05, 1e-3)
WINDOWS = 1_000
MOST = 1.5
"""Of the level, on the harmful side."""
SLAB = 400_000
"""Rows drawn at once."""


@dataclass(slots=True)
class Misses:
    """What was counted of one metric; of estimates, told: realised values, late: those not in the band."""

    windows: int = 0
    told: int = 0
    harmful: int = 0
    harmless: int = 0
    late: int = 0

    def add(self, seen: Estimate, better: Better, truth: float, realised: float | None) -> None:
        """Count one window."""
        self.windows += 1
        if seen.low is None or seen.high is None:
            return
        worse, too_good = (seen.high < truth, seen.low > truth)
        if better is Better.LOWER:
            worse, too_good = too_good, worse
        self.harmful += worse
        self.harmless += too_good
        if realised is not None:
            self.told += 1
            self.late += not seen.low - 1e-12 <= realised <= seen.high + 1e-12


Cell = tuple[str, str, int, float]
"""A metric (estimated_ before it where it is), a world, a size and a level."""


def simulate(world: World, size: int, windows: int) -> dict[Cell, Misses]:
    """Count the misses of a world's metrics over windows of one size."""
    random = np.random.default_rng(size)
    found: dict[Cell, Misses] = defaultdict(Misses)
    truth, calibration = world.truth(), _calibration(world, random)
    at_once = max(SLAB // (size * world.unit), 1)
    for start in range(0, windows, at_once):
        drawn = world.sums(random, size, min(at_once, windows - start))
        for sums, opened in zip(*drawn, strict=True):
            for level in LEVELS:
                realised = world.measure.values(sums, level)
                expected = _estimated(world, calibration, opened, level)
                cell = (world.name, size, level)
                for name, better in world.measure.better.items():
                    at = truth[name].value
                    if better is Better.NEITHER or at is None:
                        continue
                    found[name, *cell].add(realised[name], better, at, None)
                    if name in expected:
                        told = realised[name].value if realised[name].low is not None else None
                        found[f"estimated_{name}", *cell].add(expected[name], better, at, told)
    return found


def _calibration(world: World, random: np.random.Generator) -> Calibration | None:
    if not isinstance(world.measure, ClassMeasure):
        return None
    reference, _ = world.sums(random, REFERENCE, 1)
    return fit(ClassSums.of(reference[0], len(world.measure.classes)).labelled)


def _estimated(world: World, calibration: Calibration | None, opened: Floats, level: float) -> Values:
    if calibration is None or not isinstance(world.measure, ClassMeasure):
        return {}
    scores = OpenSums.of(opened, len(world.measure.classes)).open
    return estimation.estimate(calibration, scores, level, world.measure.classes)


def tables(found: Mapping[Cell, Misses]) -> Iterator[str]:
    """Yield a table for each level of what was realised and of what was estimated."""
    names = dict.fromkeys(name for name, *_ in found if name[-2:] not in {":a", ":b"})
    columns = dict.fromkeys((world, size) for _, world, size, _ in found)
    for level in LEVELS:
        for basis in ("realised", "estimated"):
            rows = [n for n in names if n.startswith("estimated_") is (basis == "estimated")]
            if not rows:
                continue
            yield f"### {basis}, level {level:g}\n"
            yield f"| metric | {' | '.join(f'{world}; {size:,}' for world, size in columns)} |"
            yield "|---|" + "---|" * len(columns)
            for name in rows:
                cells = [_cell(found[name, *column, level], level) for column in columns]
                yield f"| `{name.removeprefix('estimated_')}` | {' | '.join(cells)} |"
            yield ""


def _cell(misses: Misses, level: float) -> str:
    """Return both sides in percent, the harmful one bold where it is beyond doubt above MOST."""
    other = misses.late if misses.told else misses.harmless
    text = f"{100 * misses.harmful / misses.windows:.2g}"
    return f"{f'**{text}**' if beyond(misses, level) else text} / {100 * other / misses.windows:.2g}"


def beyond(misses: Misses, level: float) -> bool:
    """Whether there are more harmful misses than MOST times the level, by two standard deviations."""
    expected = MOST * level * misses.windows
    return misses.harmful > expected + 2.0 * math.sqrt(expected)


def summary(kind: str, found: Mapping[Cell, Misses]) -> Iterator[str]:
    """Yield a row for each level and basis: how often harm was seen where there was none."""
    for level in LEVELS:
        for estimated in (False, True):
            part = {c: m for c, m in found.items() if c[3] == level and estimated is ("estimated_" in c[0])}
            if not part:
                continue
            worst, most = max(part.items(), key=lambda item: item[1].harmful)
            share = sum(m.harmful for m in part.values()) / sum(m.windows for m in part.values())
            above = sum(beyond(m, level) for m in part.values())
            yield (
                f"| {kind}, {'estimated' if estimated else 'realised'} | {100 * level:g} | {100 * share:.2g} "
                f"| {100 * most.harmful / most.windows:.2g} (`{worst[0]}`, {worst[1]}; {worst[2]:,}) "
                f"| {above} of {len(part)} |"
            )


def report(results: Mapping[str, Mapping[Cell, Misses]], windows: int, before: machine.Machine) -> str:
    """Return the report."""
    rows = chr(10).join(line for kind, found in results.items() for line in summary(kind, found))
    parts = (f"## {kind}\n\n{chr(10).join(tables(found))}" for kind, found in results.items())
    return f"""# How often intervals miss

Written by `python -m benchmarks.intervals`; do not edit.

- Date: {before.date}
- Versions: {before.versions}
- {windows:,} windows of each population and size

{__doc__.partition(chr(10) * 2)[2].strip()}

All numbers are percent. "Above" counts the metrics, populations and sizes with more harmful misses than
{MOST} times the level, by two standard deviations.

| what | level | harmful misses, all | worst | above |
|---|---|---|---|---|
{rows}

In the tables a column is a population and a window's rows (of rankings, queries). A cell is the harmful
misses / those of the other side, or, of estimates, / the realised values that are not in the band. A window
without an interval misses nothing.

{chr(10).join(parts)}"""


def run(kinds: Iterable[str], windows: int) -> dict[str, dict[Cell, Misses]]:
    """Simulate all populations of some kinds."""
    results: dict[str, dict[Cell, Misses]] = {}
    for kind in kinds:
        found = results.setdefault(kind, {})
        for world in worlds(kind):
            for size in SIZES if kind != "ranking" else SIZES[:2]:  # 20,000 queries are 200,000 rows
                began = perf_counter()
                found |= simulate(world, size, windows)
                print(f"{kind}, {world.name}, {size:,} rows: {perf_counter() - began:.0f} s", flush=True)
    return results


def main() -> None:
    """Simulate and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=WINDOWS)
    parser.add_argument("--kind", choices=KINDS, help="simulate this one alone, and write no report")
    options = parser.parse_args()
    before = machine.describe()
    results = run((options.kind,) if options.kind else KINDS, options.windows)
    text = report(results, options.windows, before)
    if options.kind or options.windows != WINDOWS:
        print(text)
        return
    REPORT.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
