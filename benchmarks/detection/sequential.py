"""Measure e-detectors over windows beside the shift of windows, and write SEQUENTIAL.md beside this file.

`python -m benchmarks.detection.sequential [--seeds N] [--first SEED] [--only NAME ...] [--to FILE]`, about
half an hour on one core with all of its seeds. The words are in sequential_template.md.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.families import CHANGES, NAMED, SMALL, Family
from benchmarks.detection.sampling import Floats, Stream, stream
from benchmarks.detection.trial import Outcome, delay, learnt, outcome
from detectors.budget import SEQUENTIAL_PART
from detectors.dependence import dependence_of
from detectors.readings import Reading
from detectors.seasons import Clock
from detectors.sequential import Wealth, doubtful, limits, strongest
from detectors.window_null import SCALES, WindowNull

HERE = Path(__file__).parent
FIRST_SEED = 1000
SEEDS = {"independent": 100} | dict.fromkeys(
    (
        "heavy tails",
        "correlated",
        "changing traffic",
        "thin reference",
        "AR(1) 0.5",
        "AR(1) 0.9",
        "daily season, day effect",
    ),
    10,
)
WATCHED = (*SMALL, CHANGES[0], CHANGES[1], CHANGES[3], CHANGES[4], CHANGES[6])
EFFECTS = (0.1, 0.0)
"""The smallest effects worth an alarm: the daemon's default, and none."""
WHOLE, ALONE, BOTH = "shift", "evidence", "both"
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Watch:
    """A stream, and what its reference taught. passed: it shows no dependence between windows."""

    family: Family
    drawn: Stream
    null: WindowNull
    reading: Reading
    clock: Clock
    passed: bool

    @classmethod
    def of(cls, name: str, seed: int) -> "Watch":
        """Draw one seed of the named family."""
        drawn = stream(NAMED[name], seed, WATCHED)
        null, reading, clock = learnt(drawn)
        r = drawn.reference
        known = Reading(reading.values[:r], reading.sizes[:r])
        tested = dependence_of(null.readers, known, Clock(clock.starts[:r], clock.length))
        return cls(NAMED[name], drawn, null, reading, clock, tested.excluded)

    @property
    def windows(self) -> int:
        """How many are watched."""
        return len(self.drawn.rows) - self.drawn.reference

    def last(self, window: int, before: int) -> tuple[Reading, Clock]:
        """Return a window, counted from the first watched one, and those before it."""
        end = self.drawn.reference + window + 1
        some = slice(max(end - before - 1, 0), end)
        reading = Reading(self.reading.values[some], self.reading.sizes[some])
        return reading, Clock(self.clock.starts[some], self.clock.length)

    def shift(self, part: float, min_effect: float) -> Flags:
        """Return which windows are breaches of the shift or missing values, [T, features]."""
        reading, clock = self.last(self.windows - 1, self.windows - 1 + SCALES[-1])
        level = part / (self.windows * 2 * self.family.features)
        ratio = self.null.measure(reading, clock, level, min_effect).ratio
        over: Flags = np.asarray((ratio > 1.0).any(axis=0))[-self.windows :]
        firsts = np.searchsorted(self.null.readers.feature, np.arange(len(self.null.readers.features)))
        return np.asarray(np.logical_or.reduceat(over, firsts, axis=1))

    def evidence(self, pvalues: Floats, min_effect: float) -> Flags:
        """Return which windows are breaches of the evidence gathered, [T, features]; none unless passed."""
        found = np.zeros(pvalues.shape, bool)
        wealth = Wealth.none(pvalues.shape[1])
        for window, p in enumerate(pvalues if self.passed else ()):
            wealth = wealth.after(p, np.ones(len(p), bool))
            at = self._limits(wealth.scores)
            found[window] = over = wealth.scores > at
            if over.any() and min_effect:
                change = strongest(self.null, *self.last(window, SCALES[-1]))
                found[window] = over & (change.effect >= min_effect)
            wealth = wealth.settled(at, found[window])
        return found

    def pvalues(self) -> Floats:
        """Return each watched window's p-values, [T, features]."""
        return np.stack([doubtful(self.null, *self.last(window, 0)) for window in range(self.windows)])

    def _limits(self, scores: Floats) -> Floats:
        """Return every feature's limit: a changed one stands in the place of a calm one."""
        calm, alpha = self.family.features, SEQUENTIAL_PART / self.windows
        others = [limits(np.append(scores[: calm - 1], score), alpha)[-1] for score in scores[calm:]]
        return np.concatenate([limits(scores[:calm], alpha), others])


Trial = dict[tuple[float, str], Outcome]


def trial(name: str, seed: int) -> tuple[bool, Trial]:
    """Return whether one seed's reference passes, and what the detectors make of it at each effect."""
    watch = Watch.of(name, seed)
    onset, pvalues = watch.drawn.onset - watch.drawn.reference, watch.pvalues()
    found: Trial = {}
    for effect in EFFECTS:
        gathered = watch.evidence(pvalues, effect)
        beside = watch.shift(1.0 - SEQUENTIAL_PART, effect)
        flags = {WHOLE: watch.shift(1.0, effect), ALONE: gathered, BOTH: gathered | beside}
        found |= {(effect, said): outcome(watch.family, onset, each) for said, each in flags.items()}
    return watch.passed, found


def lines(name: str, trials: Sequence[tuple[bool, Trial]], effect: float) -> Iterator[str]:
    """Yield a family's rows of a table."""
    passed = 100 * sum(passed for passed, _ in trials) / len(trials)
    for said in (WHOLE, ALONE, BOTH):
        outcomes = [found[effect, said] for _, found in trials]
        episodes = [o.episodes for o in outcomes]
        few = 100 * sum(e <= 1 for e in episodes) / len(episodes)
        delays = " | ".join(delay(o.delays[i] for o in outcomes) for i in range(len(WATCHED)))
        head = f"{name} | {len(trials)} | {passed:.0f} % | {said}"
        yield f"| {head} | {np.mean(episodes):.2f} | {few:.0f} % | {max(episodes)} | {delays} |"


def main() -> None:
    """Run the families, saying each as it is done, and write the tables."""
    parser = argparse.ArgumentParser(prog="benchmarks.detection.sequential")
    parser.add_argument("--seeds", type=int, help="of each family; else those of this file")
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="the first seed")
    parser.add_argument("--only", nargs="*", default=[], help="names of families")
    parser.add_argument("--to", default=str(HERE / "SEQUENTIAL.md"))
    options = parser.parse_args()
    rows: dict[float, list[str]] = {effect: [] for effect in EFFECTS}
    for name, seeds in SEEDS.items():
        if not options.only or name in options.only:
            last = options.first + (options.seeds or seeds)
            trials = [trial(name, seed) for seed in range(options.first, last)]
            for effect in EFFECTS:
                rows[effect] += lines(name, trials, effect)
                print("\n".join(lines(name, trials, effect)), flush=True)
    Path(options.to).write_text(report(rows), "utf-8")


def report(rows: dict[float, list[str]]) -> str:
    """Return the page."""
    text = (HERE / "sequential_template.md").read_text("utf-8")
    heads = [
        "family",
        "seeds",
        "passed",
        "detectors",
        "false episodes, mean",
        "at most one in",
        "most",
        *WATCHED,
    ]
    for effect, found in rows.items():
        head = f"\n## min_effect {effect:g}\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}\n"
        text += head + "\n".join([*found, ""])
    return text


if __name__ == "__main__":
    main()
