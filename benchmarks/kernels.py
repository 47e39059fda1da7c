"""What one value costs, by kernel: finding its cell by table, by search and by sort. One run, one table.

Run as `.venv/bin/python -m benchmarks.kernels`.
"""

from collections.abc import Callable
from time import perf_counter

import numpy as np
import polars as pl

from monitor.core.lookup import lookup_of
from monitor.core.reference import numeric_grid
from monitor.memory import keep_freed

ROWS = 100_000
TURNS = 15


def main() -> None:
    """Print nanoseconds per value, the best of several turns."""
    keep_freed()
    rng = np.random.default_rng(1)
    samples = {
        "normal": rng.normal(10.0, 3.0, ROWS),
        "lognormal": rng.lognormal(1.0, 0.5, ROWS),
        "Poisson": rng.poisson(5.0, ROWS).astype(np.float64),
        "Pareto": rng.pareto(1.5, ROWS),
        "Cauchy": rng.standard_cauchy(ROWS),
    }
    print(f"{'values':12}{'table':>8}{'search':>8}{'sort':>8}   ns per value")
    for name, values in samples.items():
        grid = numeric_grid(name, pl.Series(values[: ROWS // 2]))
        table, edges = lookup_of(grid), np.array(grid.edges)
        ways: tuple[Callable[[], object], ...] = (
            lambda table=table, values=values: table.counts(values),  # type: ignore[misc]
            lambda edges=edges, values=values: np.searchsorted(edges, values),  # type: ignore[misc]
            lambda values=values: np.sort(values),  # type: ignore[misc]
        )
        print(f"{name:12}" + "".join(f"{_best(way):8.1f}" for way in ways))


def _best(way: Callable[[], object]) -> float:
    found = []
    for _ in range(TURNS):
        began = perf_counter()
        way()
        found.append(perf_counter() - began)
    return min(found) / ROWS * 1e9


if __name__ == "__main__":
    main()
