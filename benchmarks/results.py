"""Everything one call of the benchmark measured."""

from dataclasses import dataclass
from statistics import median

from benchmarks.daemon import Trial
from benchmarks.environments import Measured
from benchmarks.live import Live
from benchmarks.logs import Log
from benchmarks.machine import Machine
from benchmarks.measure import Run


@dataclass(frozen=True, slots=True)
class Pair:
    """A log read bare, by driftd and by rivals, in turns; bare: the seconds of each read of one process."""

    log: Log
    start_ups: tuple[Run, ...]
    bare: tuple[tuple[float, ...], ...]
    trials: tuple[Trial, ...]
    rivals: tuple[Measured, ...] = ()

    @property
    def problem(self) -> str:
        """Say why driftd's runs do not count, if one of them does not."""
        start = next((run.complaint for run in self.start_ups if run.code), "")
        return start or next((p for t in self.trials if (p := t.problem(self.log.rows))), "")

    @property
    def best_bare(self) -> float:
        """Seconds of the fastest bare read."""
        return min(seconds for turn in self.bare for seconds in turn)

    @property
    def whole(self) -> float:
        """Seconds of the fastest whole run of driftd, start-up included."""
        return min(trial.run.seconds for trial in self.trials)

    @property
    def nets(self) -> tuple[float, ...]:
        """Seconds of driftd's run without start-up, of each turn."""
        both = zip(self.trials, self.start_ups, strict=True)
        return tuple(trial.run.seconds - start.seconds for trial, start in both)

    @property
    def rate(self) -> float:
        """Rows per second of the turn in the middle: the headline."""
        return self.log.rows / median(self.nets)

    @property
    def to_bare(self) -> float:
        """How many rows driftd judges in the time in which Polars reads one, at its best of the turn."""
        return median(min(turn) / net for turn, net in zip(self.bare, self.nets, strict=True))

    @property
    def to_fresh_bare(self) -> float:
        """The same against the first read of a fresh process."""
        return median(turn[0] / net for turn, net in zip(self.bare, self.nets, strict=True))

    @property
    def to_rival(self) -> float:
        """How many rows driftd judges in the time in which the one rival judges one; 0 without such."""
        pairs = zip(self.rivals, self.nets, strict=True) if self.rivals else ()
        found = [self.log.rows / net / rival.judging_rate for rival, net in pairs if rival.answers]
        return median(found) if found else 0.0

    @property
    def peak(self) -> float:
        """The largest peak of all turns, in MB."""
        return max(trial.run.peak_mb for trial in self.trials)


@dataclass(frozen=True, slots=True)
class Results:
    """All of it. long: the logs of 20,000,000 rows, if asked for."""

    machine: Machine
    call: str
    pairs: tuple[Pair, ...]
    long: tuple[tuple[Log, Trial], ...]
    live: Live
    peers: tuple[Measured, ...]
    load_after: str
