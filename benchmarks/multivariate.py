"""Do the multivariate detectors keep their levels, and what do they find? Writes benchmarks/MULTIVARIATE.md.

`python -m benchmarks.multivariate` takes about a quarter of an hour of one core; parts that are named
(levels, calm, found, seconds) are printed and not written.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from detectors.encoding import Encoder, pooled
from detectors.joint import Joint
from detectors.kernel_mean import (
    by_features,
    clipped,
    like_features,
    median_square,
    products,
    random_features,
)
from detectors.multivariate import MULTIVARIATE
from detectors.table import Floats

DRAWS, SEEDS, PAIRS = 50_000, 100, 10
TITLE = """# Multivariate detectors: levels, and what they find

Made by `python -m benchmarks.multivariate`; docs/detectors.md says what the detectors are.
"""
LEVELS = (0.1, 0.01, 1e-3, 1e-4)
LEVEL = 1e-5
PAGE = Path(__file__).with_name("MULTIVARIATE.md")
Rows = Callable[[np.random.Generator, int], Joint]


def normal(columns: int, shift: float = 0.0, turn: float = 0.0, spread: float = 1.0) -> Rows:
    """Return a maker of normal columns: the first is shifted or spread, the first two are turned."""

    def make(rng: np.random.Generator, n: int) -> Joint:
        numbers = rng.normal(size=(n, columns))
        numbers[:, 1] = turn * numbers[:, 0] + (1.0 - turn * turn) ** 0.5 * numbers[:, 1]
        numbers[:, 0] = numbers[:, 0] * spread + shift
        names = tuple(f"c{place}" for place in range(columns))
        return Joint(names, 1.0 + numbers, np.empty((n, 0), np.int32))

    return make


def turned(columns: int, degrees: float, turn: float) -> Rows:
    """Return a maker of normal columns whose first two are turned about their mean, as points of a plane are.

    By 90 degrees each gets the other's distribution, and these are the same: no column changes by itself.
    """
    angle, make = np.deg2rad(degrees), normal(columns, turn=turn)
    plane = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])

    def make_turned(rng: np.random.Generator, n: int) -> Joint:
        rows = make(rng, n)
        rows.numeric[:, :2] = 1.0 + (rows.numeric[:, :2] - 1.0) @ plane
        return rows

    return make_turned


def mixed(rng: np.random.Generator, n: int) -> Joint:
    """Return columns that go together, counts, heavy tails, missing values, categories with rare values."""
    numbers = 3.0 + rng.normal(size=(n, 1)) + rng.normal(size=(n, 6))
    numbers[:, :2] = rng.poisson(0.3, size=(n, 2))
    numbers[:, 2] = np.exp(numbers[:, 2])
    numbers[rng.random((n, 6)) < 0.03] = np.nan
    codes = rng.choice(6, p=[0.7, 0.2, 0.07, 0.02, 0.005, 0.005], size=(n, 3))
    return Joint(tuple("abcdefghi"), numbers, codes.astype(np.int32))


def dealt_often(rng: np.random.Generator, features: Floats, m: int, draws: int) -> Floats:
    """Return the squared distance of two means of centred features for that many random windows of m rows."""
    rows = len(features)
    found = np.empty(draws)
    for start in range(0, draws, 500):
        chosen = np.argpartition(rng.random((500, rows), np.float32), m, axis=1)[:, :m]
        weights = np.zeros((500, rows), np.float32)
        np.put_along_axis(weights, chosen, np.float32(1.0 / m), axis=1)
        found[start : start + 500] = np.square(weights @ features).sum(axis=1)
    return found * (rows / (rows - m)) ** 2


def levels_of_mmd() -> Iterator[str]:
    """Yield how often random permutations exceed mmd's thresholds, as parts of the level."""
    rng = np.random.default_rng(1)
    makers: list[tuple[str, Rows]] = [("5 normal columns", normal(5)), ("mixed columns", mixed)]
    for name, make in makers:
        for n, m in ((2000, 2000), (2000, 200), (2000, 100), (300, 100)):
            both = pooled(make(rng, n), make(rng, m))
            points = Encoder.of(both).points(both).rows
            features = random_features(points, 1.0 / median_square(points, rng), 500, rng)
            features = np.hstack([features, like_features(features, products(clipped(points)))])
            features -= features.mean(axis=0)
            law = by_features(features, n).law
            squared = dealt_often(rng, features.astype(np.float32), m, DRAWS)
            weights = law.weights
            two, three = 2 * np.square(weights).sum(), 8 * (weights**3).sum()
            third = stats.pearson3(three / two**1.5, weights.sum(), two**0.5)
            ours = " | ".join(f"{(squared > law.quantile(level)).mean() / level:.2f}" for level in LEVELS)
            far = (squared > third.isf(LEVELS[-1])).mean() / LEVELS[-1]
            yield f"| {name} | {n} | {m} | {ours} | {far:.2f} |"


def calm() -> Iterator[str]:
    """Yield how p-values of calm rows are distributed."""
    makers: list[tuple[str, Rows]] = [("5 normal columns", normal(5)), ("mixed columns", mixed)]
    for detector, compare in MULTIVARIATE.items():
        for name, make in makers:
            if detector == "cosine" and make is mixed:
                continue
            for n, m in ((1000, 500), (1000, 100)):
                rng = np.random.default_rng(2)
                found = [compare(make(rng, n), make(rng, m), 0.01, {}, s).pvalue for s in range(SEEDS)]
                parts = " | ".join(f"{np.mean(np.array(found) < level):.3f}" for level in (0.1, 0.05, 0.01))
                uniform = stats.kstest(found, "uniform").pvalue
                yield f"| `{detector}` | {name} | {n} | {m} | {uniform:.3f} | {parts} |"


def found_of() -> Iterator[str]:
    """Yield the share of windows found at a level of 1e-5, by change and detector."""
    changes = {
        "25 columns, one + 0.5 sd": (normal(25), normal(25, shift=0.5)),
        "25 columns, one + 0.25 sd": (normal(25), normal(25, shift=0.25)),
        "25 columns, one spread x 1.5": (normal(25), normal(25, spread=1.5)),
        "8 columns, correlation 0 to 0.5": (normal(8), normal(8, turn=0.5)),
        "25 columns, correlation 0 to 0.5": (normal(25), normal(25, turn=0.5)),
        "8 columns, two of them turned by 90°": (normal(8, turn=0.5), turned(8, 90.0, turn=0.5)),
        "25 columns, two of them turned by 90°": (normal(25, turn=0.7), turned(25, 90.0, turn=0.7)),
    }
    for name, (before, after) in changes.items():
        for m in (500, 2000):
            rng = np.random.default_rng(3)
            pairs = [(before(rng, 2000), after(rng, m)) for _ in range(PAIRS)]
            shares = [
                np.mean([compare(a, b, LEVEL, options, 0).pvalue < LEVEL for a, b in pairs])
                for compare, options in (
                    (MULTIVARIATE["mmd"], {}),
                    (MULTIVARIATE["mmd"], {"products": False}),
                    (MULTIVARIATE["domain_classifier"], {}),
                    (MULTIVARIATE["pca_reconstruction"], {}),
                )
            ]
            shares += [
                np.mean([alone(test, a, b) < LEVEL for a, b in pairs])
                for test in (stats.ks_2samp, stats.cramervonmises_2samp)
            ]
            yield f"| {name} | {m} | " + " | ".join(f"{share:.2f}" for share in shares) + " |"


def alone(test: Callable[[Floats, Floats], Any], reference: Joint, window: Joint) -> float:
    """Return the least p-value of all columns, one by one, times their number."""
    pairs = zip(reference.numeric.T, window.numeric.T, strict=True)
    return min(float(test(x, y).pvalue) for x, y in pairs) * len(reference.columns)


def seconds() -> Iterator[str]:
    """Yield what a comparison of 2,000 and 2,000 rows takes."""
    rng = np.random.default_rng(4)
    for detector, compare in MULTIVARIATE.items():
        taken = []
        for columns in (25, 384):
            reference, window = (normal(columns)(rng, 2000) for _ in range(2))
            start = time.process_time()
            compare(reference, window, 1e-5, {}, 0)
            taken.append(f"{time.process_time() - start:.2f}")
        yield f"| `{detector}` | {' | '.join(taken)} |"


Part = Callable[[], Iterator[str]]


def part(title: str, words: str, head: str, rows: Part) -> Part:
    """Return a maker of one part of the page: its title, what it says, and a table. head: of the columns."""

    def lines() -> Iterator[str]:
        yield f"## {title}\n"
        if words:
            yield f"{words}\n"
        yield f"| {head} |"
        yield "|---" * (head.count(" | ") + 1) + "|"
        yield from rows()

    return lines


PARTS: Mapping[str, Part] = {
    "levels": part(
        f"mmd's law against {DRAWS:,} permutations",
        "How often permutations exceed the threshold, over the level. Last: a Pearson III law.",
        "rows | n | m | 0.1 | 0.01 | 0.001 | 0.0001 | Pearson III at 0.0001",
        levels_of_mmd,
    ),
    "calm": part(
        f"P-values of {SEEDS} pairs of calm samples",
        "Uniform: the p-value of Kolmogorov and Smirnov's test. Then: how many are below a level.",
        "detector | rows | n | m | uniform | 0.1 | 0.05 | 0.01",
        calm,
    ),
    "found": part(
        f"Share of {PAIRS} windows found at a level of 1e-5, with 2,000 rows of reference",
        "`ks`, `cvm`: the least of all columns' p-values, times their number. Two columns that are turned, "
        "or go together otherwise, stay as they are one by one.",
        "change | m | `mmd` | without products | `domain_classifier` | `pca_reconstruction` | `ks` | `cvm`",
        found_of,
    ),
    "seconds": part(
        "Seconds of one core, 2,000 and 2,000 rows", "", "detector | 25 columns | 384 columns", seconds
    ),
}


def main() -> None:
    """Print the parts that are named; all of them make the page."""
    named = sys.argv[1:] or list(PARTS)
    lines = [TITLE] if named == list(PARTS) else []
    for name in named:
        for line in PARTS[name]():
            print(line, flush=True)
            lines.append(line)
        lines.append("")
    if named == list(PARTS):
        PAGE.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
