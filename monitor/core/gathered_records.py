"""Audit records of what was gathered over windows: where it began, its steps, and the same made again."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from detectors.base import Verdict
from detectors.faults import Counts, Faults, after
from detectors.monitors import Judgement, MonitorSpec
from detectors.profile import WindowProfile
from detectors.readings import Reading
from detectors.seasons import Clock
from detectors.sequential import Wealth
from detectors.series import Series
from monitor.core.fault_wealth import fault_clusters
from monitor.core.records import AuditRecord, Evidence
from monitor.core.scenes import Scene
from monitor.core.wealth_marks import Mark

NEAR = 1e-9


def with_mark(series: Series, mark: Mark | None, place: int, least: int) -> dict[str, NDArray[Any]]:
    """Return the steps by which a feature came to its wealth; nothing where they do not lead to it.

    That is so where min_rows or the null model has changed since the mark.
    """
    if mark is None or series.wealth is None or mark.windows > len(series.clock.starts):
        return {}
    again = float(regathered(series, mark, least).scores[place])
    return mark.only(place).arrays() if _near(again, float(series.wealth.scores[place])) else {}


def regathered(series: Series, mark: Mark, least: int) -> Wealth:
    """Return what the last windows of a series make of the wealth before them."""
    wealth, first = mark.wealth(), len(series.clock.starts) - mark.windows
    for i in range(mark.windows):
        at = slice(first + i, first + i + 1)
        reading = Reading(series.reading.values[at], series.reading.sizes[at])
        one = replace(series, reading=reading, clock=Clock(series.clock.starts[at], series.clock.length))
        wealth = mark.after(one.gathered(wealth, least), i)
    return wealth


def with_faults(spec: MonitorSpec, scene: Scene, gathering: tuple[Mark, int], found: Evidence) -> Evidence:
    """Add the steps by which a check of faulty values came to its score, as `with_mark` does.

    gathering: the group's mark, and how many rows a window needs.
    """
    counts, name = Counts.of(scene.seen, *fault_clusters(scene.series)), (spec.feature, spec.detector)
    place, (mark, least) = counts.names.index(name), gathering
    known = [float(part[place]) for part in (counts.found, counts.known, counts.clustered)]
    own = mark.only(place)
    again, _ = _recounted(own, name, known, least)
    steps = own.arrays() if _near(float(again.scores[0]), scene.seen.faults[name].score) else {}
    return replace(found, head=found.head | {"counted": known}, arrays=found.arrays | steps)


def faults_again(record: AuditRecord, seen: WindowProfile, judge: tuple[MonitorSpec, Judgement]) -> Verdict:
    """Gather faulty values again, and judge them; seen: the last window."""
    (spec, alarms), mark = judge, Mark.of(record.arrays)
    if mark is None:
        raise ValueError("it has no steps")
    name = (spec.feature, spec.detector)
    wealth, last = _recounted(mark, name, record.head["counted"], alarms.min_rows)
    _refuse_others(seen, last, name)
    return Faults([spec], alarms).close(replace(seen, faults=last.gathered(wealth)))[0]


def _recounted(
    mark: Mark, name: tuple[str, str], known: Sequence[float], least: int
) -> tuple[Wealth, Counts]:
    """Return what the counts of one check make of the wealth before them, and the last of the counts."""
    found, rows_known, clustered = (np.array([number]) for number in known)
    wealth, last = mark.wealth(), Counts((name,), *np.zeros((6, 1)))
    for i in range(mark.windows):
        faulty, rows, cluster = (np.array([number]) for number in mark.counts[i, 0])
        last = Counts((name,), found, rows_known, faulty, rows, cluster, clustered)
        wealth = mark.after(after(wealth, last, least), i)
    return wealth, last


def _refuse_others(seen: WindowProfile, last: Counts, name: tuple[str, str]) -> None:
    """Count the window's cells again: the last of the counts must be theirs."""
    again = Counts.of(seen)
    place = again.names.index(name)
    for part in ("found", "known", "faulty", "rows"):
        if not _near(float(getattr(again, part)[place]), float(getattr(last, part)[0])):
            raise ValueError("the window's cells do not give the counts that were judged")


def _near(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=NEAR, abs_tol=1e-300)
