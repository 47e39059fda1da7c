"""Measure the windows' null model on simulated streams and write RESULTS.md beside this file.

`python -m benchmarks.detection [--seeds N] [--first SEED] [--only NAME ...] [--to FILE]`, about half an hour
on two cores with all of its seeds, which are in this file.
"""

import argparse
from collections.abc import Iterable, Sequence
from itertools import product
from multiprocessing import Pool
from pathlib import Path

from benchmarks.detection.families import CHANGES, FAMILIES, FRESH, Family
from benchmarks.detection.trial import Outcome, delay, trial

BUDGETS = (1.0, 6.6)
"""False episodes in the 30 days watched; the second is what the prototype's table had on daily seasons."""
SEEDS, FRESH_SEEDS, FIRST_SEED = 100, 20, 1000
PROCESSES = 2
HERE = Path(__file__).parent
Found = Sequence[tuple[Family, Sequence[Outcome]]]

HEAD = """# The windows' null model on simulated streams

Written by `python -m benchmarks.detection`; do not edit.

Hourly windows of 500 rows, 25 numeric features, a reference of 15 days (28 for weekly seasons), then 30 days
watched, unless the name says otherwise. The budget is one false episode in 30 days over all features: the
shift of each feature and its missing values have the level 1/36,000 in each window. Beside the calm features
each stream has one feature per change, at a random time from the 6th to the 11th day watched; `sd` is that
of a normal row (of heavy tails the unit of Student's law, 0.58 of its sd). Found after: windows until the
first breach, 1 for the first changed one; the median over the seeds, with the share of seeds that found it
within the time watched when it is not all of them. Windows below `alarms.min_rows` are judged too.

Seeds: {seeds}. Nothing was tuned on these seeds. Thin references, heavy windows and days, counts and
many zeros changed the method on other seeds; the rest of the other families was only looked at.

Other tools on the same streams: [PEERS.md](PEERS.md).
"""
TABLE = """
## {title}

| family | seeds | false episodes, mean | at most one in | most | {changes} |
|---|---|---|---|---|{rule}|
"""


def main() -> None:
    """Run the families, saying each as it is done, and write the tables."""
    options = _options()
    built = run([f for f in FAMILIES if _chosen(f, options.only)], options.first, options.seeds or SEEDS)
    fresh = run([f for f in FRESH if _chosen(f, options.only)], options.first, options.seeds or FRESH_SEEDS)
    titles = (("The families of the issue", built), ("Other families", fresh))
    text = HEAD.format(seeds=f"{options.first} and up")
    for (place, budget), (title, found) in product(enumerate(BUDGETS), titles):
        if found:
            said = [(family, [outcomes[place] for outcomes in every]) for family, every in found]
            text += table(f"{title}, budget {budget:g} per 30 days", said)
    Path(options.to).write_text(text, "utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.detection")
    parser.add_argument(
        "--seeds", type=int, help=f"of each family; else {SEEDS}, {FRESH_SEEDS} of fresh ones"
    )
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="the first seed")
    parser.add_argument("--only", nargs="*", default=[], help="names of families")
    parser.add_argument("--to", default=str(HERE / "RESULTS.md"))
    return parser.parse_args()


def _chosen(family: Family, names: Sequence[str]) -> bool:
    return not names or family.name in names


def run(families: Iterable[Family], first: int, seeds: int) -> list[tuple[Family, list[tuple[Outcome, ...]]]]:
    """Return every seed's outcomes, one per budget."""
    found = []
    with Pool(PROCESSES) as pool:
        for family in families:
            tasks = [(family.name, seed, BUDGETS) for seed in range(first, first + seeds)]
            outcomes = pool.starmap(trial, tasks, chunksize=1)
            found.append((family, outcomes))
            print(line(family, [each[0] for each in outcomes]), flush=True)
    return found


def table(title: str, found: Found) -> str:
    """Return one table."""
    changes = " | ".join(f"{change} found after" for change in CHANGES)
    rows = [line(family, outcomes) for family, outcomes in found]
    return TABLE.format(title=title, changes=changes, rule="---|" * (len(CHANGES) - 1) + "---") + "\n".join(
        [*rows, ""]
    )


def line(family: Family, outcomes: Sequence[Outcome]) -> str:
    """Return one row of a table."""
    episodes = [o.episodes for o in outcomes]
    few = 100 * sum(e <= 1 for e in episodes) / len(episodes)
    delays = " | ".join(delay(o.delays[i] for o in outcomes) for i in range(len(CHANGES)))
    mean = sum(episodes) / len(episodes)
    return f"| {family.name} | {len(episodes)} | {mean:.2f} | {few:.0f} % | {max(episodes)} | {delays} |"


if __name__ == "__main__":
    main()
