"""What a judged window says of groups, of the worst segment, and of champion against challenger."""

import json
from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from detectors.base import Level
from detectors.challenger import Contest, LossSums, Plan
from detectors.class_sums import ClassSums, OpenSums
from detectors.classification import ClassMeasure
from detectors.fairness import GroupCounts, fairness
from detectors.worst import Search, Segment, Worst, worst
from monitor.config import Compare
from monitor.core.assessing import Assessor
from monitor.core.labels import Labels, Measured, Record
from monitor.core.profiles import ALL, GroupKey
from monitor.core.standard import GROUP, Standard, schemes

FAIRNESS, WORST = "fairness", "worst"
"""Bases under which these are remembered, beside realised and estimated performance."""
GROUP_LEVEL = 0.05
"""Intervals of groups are numbers to look at, not alarms: 95 % each."""
TWO = 2
Records = Mapping[str, Record]
"""Records of one window and version, by label."""


def compared(assessor: Assessor, standard: Standard, records: Records) -> Iterator[tuple[str, str, Measured]]:
    """Yield label, basis and numbers of the groups and of the worst segments."""
    whole = records.get(ALL)
    if whole is None:
        return
    columns = [(scheme, labels) for _, scheme, labels in schemes(standard.values)]
    segmented = sum(not scheme.startswith(GROUP) for scheme, _ in columns)
    for scheme, labels in columns:
        parts = {label: records[label] for label in labels if label in records}
        if scheme.startswith(GROUP):
            yield from _groups(assessor, standard, scheme, (whole, parts))
        else:
            found = _worst(assessor, standard, (whole, parts), segmented)
            if found is not None:
                yield f"segment:{scheme}", WORST, found


def _groups(
    assessor: Assessor, standard: Standard, scheme: str, rows: tuple[Record, Records]
) -> Iterator[tuple[str, str, Measured]]:
    whole, parts = rows
    measure = assessor.bench(standard).measure
    if not isinstance(measure, ClassMeasure) or len(measure.classes) != TWO:
        return
    counts = {label: _counts(record) for label, record in parts.items()}
    found = fairness(counts, GROUP_LEVEL, assessor.plan.model.performance.min_group)
    for label, rates in found.groups.items():
        note = str(Level.INSUFFICIENT_DATA) if rates.level is Level.INSUFFICIENT_DATA else ""
        record = parts[label]
        yield label, FAIRNESS, Measured(record.rows, record.coverage, rates.rates, note)
    estimates = {name: disparity.estimate for name, disparity in found.disparities.items()}
    missing = any(d.level is Level.INSUFFICIENT_DATA for d in found.disparities.values())
    note = str(Level.INSUFFICIENT_DATA) if missing else ""
    yield scheme, FAIRNESS, Measured(whole.rows, whole.coverage, estimates, note)


def _counts(record: Record) -> GroupCounts:
    confusion = ClassSums.of(record.sums, TWO).confusion[:TWO, :TWO]
    return GroupCounts(confusion, OpenSums.of(record.open, TWO).predicted[:TWO])


def _worst(
    assessor: Assessor, standard: Standard, rows: tuple[Record, Records], columns: int
) -> Measured | None:
    """Return the gaps of the worst segment, named in the note: that of the first metric to prove one.

    The level is shared by metrics, columns and, within `worst`, the segments of a column.
    """
    whole, parts = rows
    if not parts:
        return None
    level = assessor.level(columns)
    search = Search(level, level / len(parts), assessor.plan.model.performance.min_group)
    measure = assessor.bench(standard).measure
    pairs = {
        label: (measure.values(r.sums, search.made_at), measure.values(whole.sums - r.sums, search.made_at))
        for label, r in parts.items()
    }
    found: dict[str, Worst] = {}
    for name in dict.fromkeys(q.metric for q in assessor.questions if not q.estimated):
        segments = {label: Segment(own[name], rest[name]) for label, (own, rest) in pairs.items()}
        named = worst(segments, measure.better[name], search)
        if named is not None:
            found[name] = named
    proven = next((w.label for w in found.values() if w.significant), "")
    gaps = {n: w.against_rest for n, w in found.items() if w.significant and w.label == proven}
    return Measured(whole.rows, whole.coverage, gaps, proven)


def contested(assessor: Assessor, labels: Labels, standard: Standard, start: int, wish: Compare) -> Labels:
    """Add a window to the contest of two versions, once it is judged of both."""
    arms = [
        _arm(assessor, labels, standard, (start, version)) for version in (wish.champion, wish.challenger)
    ]
    if arms[0] is None or arms[1] is None:
        return labels
    contest = load_contest(labels.contest).add(arms[0], arms[1], plan_of(wish))
    return replace(labels, contest=json.dumps(contest.dump(), separators=(",", ":")))


def load_contest(text: str) -> Contest:
    """Read the contest of a model's labels; "" is one that has not begun."""
    return Contest.load(json.loads(text)) if text else Contest()


def plan_of(wish: Compare) -> Plan:
    """Return by what rule the two are compared: losses, the lower the better."""
    return Plan(level=wish.level)


def _arm(assessor: Assessor, labels: Labels, standard: Standard, place: tuple[int, str]) -> LossSums | None:
    record = labels.records.get(GroupKey(*place, ALL))
    if record is None or not record.judged:
        return None
    return LossSums(*assessor.bench(standard).measure.losses(record.sums))
