"""Seeded streams: how windows without a change differ, and the changes to be found.

A family says how windows depend on each other and what a row looks like. All features of a stream belong to
one family; the first `features` of them never change, each of the others undergoes one of CHANGES.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.seasons import Ints

Floats = NDArray[np.float64]

ROWS = 500
MISSING = 0.01
RAMP_DAYS = 5
WATCHED_DAYS = 30
ONSET_DAYS = (5, 11)
"""The change comes at a random time between these days of the time watched."""

CHANGES = (
    "mean + 0.25 sd",
    "mean + 0.5 sd",
    "mean + 1 sd",
    "variance x 1.5",
    "category + 5 points",
    "missing + 2 points",
    "ramp to + 0.5 sd in 5 days",
)
SMALL = ("mean + 0.05 sd", "mean + 0.1 sd")
SHIFTS = dict(zip((*CHANGES[:3], *SMALL), (0.25, 0.5, 1.0, 0.05, 0.1), strict=True))


@dataclass(frozen=True)
class Calendar:
    """The windows of a stream. per_day: how many a day has; days: of the reference; all: of both."""

    per_day: int
    days: int

    @property
    def reference(self) -> int:
        """How many windows the reference has."""
        return self.per_day * self.days

    @property
    def windows(self) -> int:
        """How many windows there are in all."""
        return self.per_day * (self.days + WATCHED_DAYS)

    @property
    def day(self) -> Ints:
        """Which day each window belongs to."""
        return np.arange(self.windows) // self.per_day

    @property
    def phase(self) -> Floats:
        """Where in its day each window lies, 0 to 2 pi, [T, 1]."""
        return (np.arange(self.windows) % self.per_day * 2 * np.pi / self.per_day)[:, None]

    @property
    def free(self) -> NDArray[np.bool_]:
        """Which windows lie on a Saturday or Sunday, [T, 1]."""
        return (self.day % 7 >= 5)[:, None]


Rng = np.random.Generator
Means = Callable[[Rng, Calendar, int], Floats]
Traffic = Callable[[Rng, Calendar], Ints]


def still(_rng: Rng, calendar: Calendar, columns: int) -> Floats:
    """Windows that differ by the chance of their rows alone."""
    return np.zeros((calendar.windows, columns))


def wandering(memory: float, sd: float = 0.1) -> Means:
    """Window means that follow an autoregression of the first order."""

    def means(rng: Rng, calendar: Calendar, columns: int) -> Floats:
        noise = rng.normal(0.0, sd, (calendar.windows, columns))
        noise[1:] *= np.sqrt(1.0 - memory**2)
        for t in range(1, len(noise)):
            noise[t] += memory * noise[t - 1]
        return noise

    return means


def daily(amplitude: float = 0.4, effect: float = 0.15) -> Means:
    """Give each feature a wave over the day at its own phase, and let days differ."""

    def means(rng: Rng, calendar: Calendar, columns: int) -> Floats:
        wave = amplitude * np.sin(calendar.phase + rng.uniform(0, 2 * np.pi, columns))
        return np.asarray(wave + rng.normal(0.0, effect, (calendar.day[-1] + 1, columns))[calendar.day])

    return means


def weekly(effect: float = 0.0) -> Means:
    """Give each feature a wave over the day that is flatter on free days, which also lie higher or lower."""

    def means(rng: Rng, calendar: Calendar, columns: int) -> Floats:
        height = np.where(calendar.free, 0.2, 0.4)
        wave = height * np.sin(calendar.phase + rng.uniform(0, 2 * np.pi, columns))
        level = np.where(calendar.free, 0.3 * rng.choice([-1.0, 1.0], columns), 0.0)
        return np.asarray(
            wave + level + rng.normal(0.0, effect, (calendar.day[-1] + 1, columns))[calendar.day]
        )

    return means


def both(first: Means, second: Means) -> Means:
    """Add up two ways to differ."""

    def means(rng: Rng, calendar: Calendar, columns: int) -> Floats:
        return np.asarray(first(rng, calendar, columns) + second(rng, calendar, columns))

    return means


def heavy_windows(rng: Rng, calendar: Calendar, columns: int) -> Floats:
    """Windows that now and then lie far off, each by itself."""
    return np.asarray(0.05 * rng.standard_t(3, (calendar.windows, columns)))


def heavy_days(rng: Rng, calendar: Calendar, columns: int) -> Floats:
    """Whole days that now and then lie far off."""
    return np.asarray(0.05 * rng.standard_t(3, (calendar.day[-1] + 1, columns))[calendar.day])


def one_wanders(rng: Rng, calendar: Calendar, columns: int) -> Floats:
    """One feature in five wanders, the others do not."""
    return np.asarray(wandering(0.9)(rng, calendar, columns) * (np.arange(columns) % 5 == 0))


def common_days(rng: Rng, calendar: Calendar, columns: int) -> Floats:
    """Days that differ in all features at once."""
    return np.asarray(np.tile(rng.normal(0.0, 0.15, calendar.day[-1] + 1)[calendar.day, None], columns))


def usual_rows(_rng: Rng, calendar: Calendar) -> Ints:
    """As many rows in each window."""
    return np.full(calendar.windows, ROWS)


def _between(part: Floats) -> Ints:
    return np.asarray(np.exp(np.log(50.0) + np.log(100.0) * np.clip(part, 0.0, 1.0)), np.int64)


def tides(rng: Rng, calendar: Calendar) -> Ints:
    """50 rows a window at night, 5,000 by day, more or less."""
    wave = 0.5 + 0.35 * np.sin(calendar.phase[:, 0])
    return _between(wave + rng.uniform(-0.15, 0.15, calendar.windows))


def ebbing(_rng: Rng, calendar: Calendar) -> Ints:
    """5,000 rows a window at first, 50 at last."""
    return _between(np.linspace(1.0, 0.0, calendar.windows))


def thin_reference(_rng: Rng, calendar: Calendar) -> Ints:
    """Sample the reference: 50 rows a window, 1,000 later."""
    return np.where(np.arange(calendar.windows) < calendar.reference, 50, 1000)


@dataclass(frozen=True)
class Family:
    """How a stream behaves.

    means: of each window, in standard deviations of a row. rows: of each window. tail: degrees of freedom of
    Student's law, None for the normal one. common: the correlation of any two features within a row. shape:
    what is made of normal values: "plain", "zeros", "counts", "categories" (every other feature is one).
    """

    name: str
    means: Means = still
    rows: Traffic = usual_rows
    calendar: Calendar = Calendar(24, 15)
    features: int = 25
    tail: float | None = None
    common: float = 0.0
    shape: str = "plain"


WEEKS = Calendar(24, 28)
FAMILIES = (
    Family("independent"),
    Family("AR(1) 0.9", wandering(0.9)),
    Family("heavy tails", tail=3.0),
    Family("daily season, day effect", daily()),
    Family("weekly season", weekly(), calendar=WEEKS),
    Family("correlated", common=0.7),
    Family("changing traffic", rows=tides),
)
"""Those the budget is promised for."""
FRESH = (
    Family("AR(1) 0.5", wandering(0.5)),
    Family("season and AR(1) 0.9", both(daily(effect=0.0), wandering(0.9))),
    Family("weekly season, day effect", weekly(0.1), calendar=WEEKS),
    Family("AR(1) 0.9, changing traffic", wandering(0.9), tides),
    Family("ebbing traffic", rows=ebbing),
    Family("thin reference", rows=thin_reference),
    Family("thin reference, AR(1) 0.9", wandering(0.9), thin_reference),
    Family("many zeros, AR(1) 0.9", wandering(0.9), shape="zeros"),
    Family("counts", wandering(0.9), shape="counts"),
    Family("categories, AR(1) 0.9", wandering(0.9), shape="categories"),
    Family("one in five wanders", one_wanders),
    Family("day effect common to all", common_days),
    Family("heavy windows", heavy_windows),
    Family("heavy days", heavy_days),
    Family("10 features, AR(1) 0.9", wandering(0.9), features=10),
    Family("1 feature, daily season, day effect", daily(), features=1),
    Family("100 features, daily season, day effect", daily(), features=100),
    Family("7 days of reference, AR(1) 0.9", wandering(0.9), calendar=Calendar(24, 7)),
    Family("daily windows, AR(1) 0.5", wandering(0.5), calendar=Calendar(1, 60)),
)
"""Harder or just different ones."""

NAMED: Mapping[str, Family] = {family.name: family for family in (*FAMILIES, *FRESH)}
