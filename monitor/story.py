"""The demo's story: which incident is on when, and in which words the console tells what /metrics says."""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from monitor.core.labels import ESTIMATED, REALIZED
from monitor.core.profiles import ALL
from monitor.scrape import Key, Reading
from monitor.simulate import FLIPPED, SHIFT, SHIFTED, SHIFTED_VERSION

MONITORS_TOLD = 6
METRIC = "accuracy"
"""The measure of performance that the demo's configuration judges."""
Firing = Mapping[Key, tuple[float, float]]
BASIS = {REALIZED: "by outcomes", ESTIMATED: "estimated"}


class Act(Struct, frozen=True):
    """A part of the story. begin: seconds after the story's start. says: what the console says then.

    incident, concept: what the service does meanwhile, as for LiveService.write.
    """

    begin: float
    name: str
    says: tuple[str, ...] = ()
    incident: bool = False
    concept: bool = False


def acts(calm: float, shift: float, rest: float) -> tuple[Act, ...]:
    """Return the acts in their order, told in seconds how long the first three last; the last has no end.

    >>> [(act.begin, act.name) for act in acts(60.0, 30.0, 30.0)][1:]
    [(60.0, 'first incident'), (90.0, 'recovery'), (120.0, 'second incident')]
    """
    shifted, flipped = " and ".join(SHIFTED), " and ".join(FLIPPED)
    first = (
        f"FIRST INCIDENT: {shifted} of version {SHIFTED_VERSION} shift now, by {SHIFT} standard deviations",
        "    what follows from them stays as it was: drift will fire, accuracy will not",
    )
    between = (
        f"the first incident is over: version {SHIFTED_VERSION} sees the inputs of before",
        "    its alarms end after a few windows without a breach",
    )
    second = (
        f"SECOND INCIDENT: from now on {flipped} do the opposite to the risk of default",
        "    inputs and scores stay as they are: drift will not fire. Outcomes come 4 to 40 hours of event",
        "    time late; once most of a window's are known, accuracy will fire",
    )
    return (
        Act(0.0, "calm"),
        Act(calm, "first incident", first, incident=True),
        Act(calm + shift, "recovery", between),
        Act(calm + shift + rest, "second incident", second, concept=True),
    )


def summary(reading: Reading) -> str:
    """Say in one line how far the daemon is and how good the model."""
    firing = len(reading.firing) + len(reading.failing)
    counts = f"{reading.closed:,} windows closed, {firing} firing, {reading.stored:,} rows stored"
    known = [f"{version} {value:.3f}" for version, value in _accuracies(reading, REALIZED).items()]
    return f"{counts}, {METRIC} {' '.join(known)}" if known else counts


def news(before: Reading, now: Reading) -> Iterator[tuple[str, list[str]]]:
    """Yield (headline, lines below it) of what fires now and did not before, and of what no longer does."""
    fires = _rows(now.firing, before.firing, "{3} on {2}", "score {:.3f}, threshold {:.3f}")
    if fires:
        yield f"FIRING: {_monitors(len(fires))} of inputs and scores", _shortened(fires)
    fails = _rows(now.failing, before.failing, "{2} {3}", "{:.3f}, limit {:.3f}")
    if fails:
        yield f"FIRING: {_monitors(len(fails))} of performance", _shortened(fails)
    over = len({*before.firing, *before.failing} - {*now.firing, *now.failing})
    if over:
        left = len(now.firing) + len(now.failing)
        yield f"OVER for {_monitors(over)}, still firing: {left or 'none'}", []


def lesson(reading: Reading) -> list[str]:
    """Say that this is concept drift, and why; nothing unless realised performance fires alone."""
    bases = {basis for _, _, _, basis in reading.failing}
    if reading.firing or REALIZED not in bases or ESTIMATED in bases:
        return []
    estimated = _accuracies(reading, ESTIMATED)
    pairs = [
        f"    version {version}: {METRIC} {value:.3f} by outcomes, {estimated[version]:.3f} estimated"
        for version, value in _accuracies(reading, REALIZED).items()
        if version in estimated
    ]
    return [
        "CONCEPT DRIFT: performance falls, and no monitor of an input or a score fires",
        *pairs,
        "    the estimate takes the scores at their word, so it does not fall: only outcomes show this",
    ]


def _accuracies(reading: Reading, basis: str) -> dict[str, float]:
    """Return the newest accuracy of each version."""
    found = reading.performance.items()
    return {v: value for (v, *what), value in sorted(found) if what == [ALL, METRIC, basis]}


def _rows(now: Firing, before: Firing, name: str, numbers: str) -> list[str]:
    """Describe what is new, whole versions first."""
    fresh = sorted(now.keys() - before.keys(), key=lambda key: (key[1] != ALL, key))
    return [
        f"    {name.format(*key[:3], BASIS.get(key[3], key[3]))}, version {key[0]}, segment {key[1]}: "
        f"{numbers.format(*now[key])}"
        for key in fresh
    ]


def _monitors(count: int) -> str:
    return "1 monitor" if count == 1 else f"{count} monitors"


def _shortened(lines: list[str]) -> list[str]:
    more = len(lines) - MONITORS_TOLD
    return [*lines[:MONITORS_TOLD], f"    ... and {more} more"] if more > 0 else lines
