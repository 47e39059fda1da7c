"""Do the multivariate detectors keep their levels, and what do they find? Writes benchmarks/MULTIVARIATE.md.

`python -m benchmarks.multivariate` takes about ten minutes of one core; parts that are named (levels, calm,
found, seconds) are printed and not written.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy import stats

from detectors.distances import Floats
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

DRAWS, SEEDS, PAIRS = 50_000, 60, 6
TITLE = """# Multivariate detectors: levels, and what they find

Made by `python -m benchmarks.multivariate`; docs/detectors.md says what the detectors are.
"""
LEVELS = (0.1, 0.01, 1e-3, 1e-4)
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


def levels_of_mmd(draws: int) -> Iterator[str]:
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
            squared = dealt_often(rng, features.astype(np.float32), m, draws)
            weights = law.weights
            two, three = 2 * np.square(weights).sum(), 8 * (weights**3).sum()
            third = stats.pearson3(three / two**1.5, weights.sum(), two**0.5)
            ours = " | ".join(f"{(squared > law.quantile(level)).mean() / level:.2f}" for level in LEVELS)
            far = (squared > third.isf(LEVELS[-1])).mean() / LEVELS[-1]
            yield f"| {name} | {n} | {m} | {ours} | {far:.2f} |"


def calm(seeds: int) -> Iterator[str]:
    """Yield how p-values of calm rows are distributed."""
    makers: list[tuple[str, Rows]] = [("5 normal columns", normal(5)), ("mixed columns", mixed)]
    for detector, compare in MULTIVARIATE.items():
        for name, make in makers:
            if detector == "cosine" and make is mixed:
                continue
            for n, m in ((1000, 500), (1000, 100)):
                rng = np.random.default_rng(2)
                windows = seeds if detector == "domain_classifier" else 2 * seeds
                found = [compare(make(rng, n), make(rng, m), 0.01, {}, s).pvalue for s in range(windows)]
                parts = " | ".join(f"{np.mean(np.array(found) < level):.3f}" for level in (0.1, 0.05, 0.01))
                uniform = stats.kstest(found, "uniform").pvalue
                yield f"| `{detector}` | {name} | {n} | {m} | {windows} | {uniform:.3f} | {parts} |"


def found_of(seeds: int) -> Iterator[str]:
    """Yield the share of windows found at a level of 1e-5, by change and detector."""
    changes = {
        "25 columns, one + 0.5 sd": (normal(25), normal(25, shift=0.5)),
        "25 columns, one + 0.25 sd": (normal(25), normal(25, shift=0.25)),
        "25 columns, one spread x 1.5": (normal(25), normal(25, spread=1.5)),
        "8 columns, correlation 0 to 0.5": (normal(8), normal(8, turn=0.5)),
        "25 columns, correlation 0 to 0.5": (normal(25), normal(25, turn=0.5)),
        "25 columns, correlation 0.7 to -0.7": (normal(25, turn=0.7), normal(25, turn=-0.7)),
    }
    for name, (before, after) in changes.items():
        for m in (500, 2000):
            rng = np.random.default_rng(3)
            pairs = [(before(rng, 2000), after(rng, m)) for _ in range(seeds)]
            shares = [
                np.mean([compare(a, b, 1e-5, options, 0).pvalue < 1e-5 for a, b in pairs])
                for compare, options in (
                    (MULTIVARIATE["mmd"], {}),
                    (MULTIVARIATE["mmd"], {"products": False}),
                    (MULTIVARIATE["domain_classifier"], {}),
                    (MULTIVARIATE["pca_reconstruction"], {}),
                )
            ]
            alone = np.mean(
                [
                    min(stats.ks_2samp(x, y).pvalue for x, y in zip(a.numeric.T, b.numeric.T, strict=True))
                    < 1e-5 / 25
                    for a, b in pairs
                ]
            )
            yield f"| {name} | {m} | " + " | ".join(f"{share:.2f}" for share in [*shares, alone]) + " |"


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


def levels_part() -> Iterator[str]:
    """Yield the part on mmd's law."""
    yield f"## mmd's law against {DRAWS:,} permutations\n"
    yield "How often permutations exceed the threshold, over the level. Last: a Pearson III law.\n"
    yield "| rows | n | m | 0.1 | 0.01 | 0.001 | 0.0001 | Pearson III at 0.0001 |"
    yield "|---|---|---|---|---|---|---|---|"
    yield from levels_of_mmd(DRAWS)


def calm_part() -> Iterator[str]:
    """Yield the part on p-values without a change."""
    yield "## P-values of calm rows\n"
    yield "Uniform: the p-value of Kolmogorov and Smirnov's test. Then: how many are below a level.\n"
    yield "| detector | rows | n | m | windows | uniform | 0.1 | 0.05 | 0.01 |"
    yield "|---|---|---|---|---|---|---|---|---|"
    yield from calm(SEEDS)


def found_part() -> Iterator[str]:
    """Yield the part on changes."""
    yield f"## Share of {PAIRS} windows found at a level of 1e-5, with 2,000 rows of reference\n"
    yield "`ks` is the least of all columns' p-values, times 25. A turn changes no column by itself.\n"
    yield "| change | m | `mmd` | without products | `domain_classifier` | `pca_reconstruction` | `ks` |"
    yield "|---|---|---|---|---|---|---|"
    yield from found_of(PAIRS)


def seconds_part() -> Iterator[str]:
    """Yield the part on time."""
    yield "## Seconds of one core, 2,000 and 2,000 rows\n"
    yield "| detector | 25 columns | 384 columns |"
    yield "|---|---|---|"
    yield from seconds()


PARTS = {"levels": levels_part, "calm": calm_part, "found": found_part, "seconds": seconds_part}


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
