"""Performance while windows close: what is estimated at once, and what is judged when outcomes have come."""

from collections import Counter
from collections.abc import Callable, Iterator

from msgspec.structs import replace

from detectors.base import Verdict
from detectors.profile import Profile
from monitor.core.assessing import Assessor
from monitor.core.comparing import compared, contested
from monitor.core.labels import DETAILED, ESTIMATED, HISTORY, REALIZED, Labels, Measured, Record, SeriesKey
from monitor.core.ledger import Ledger
from monitor.core.profiles import ALL, GroupKey
from monitor.core.reference import Baseline
from monitor.core.standard import GROUP, Standard
from monitor.core.state import ModelState
from monitor.types import Around

Judged = tuple[GroupKey, Verdict]


class Maturing:
    """One pass of ticks over a model's labels. judged: the windows of the last one, by start and version."""

    def __init__(
        self, assessor: Assessor, ledger: Ledger, standard_at: Callable[[int], Standard], upto: int
    ) -> None:
        self.ledger = ledger
        self.upto = upto
        self.judged: list[tuple[int, str]] = []
        self._assessor = assessor
        self._standard_at = standard_at
        # the groups that share the budget, by window: what is shown again has the same level
        self._groups = Counter(k.start for k in ledger.labels.records if not k.segment.startswith(GROUP))

    def estimate(
        self, baseline: Baseline, group: GroupKey, profile: Profile, groups: int
    ) -> Iterator[Judged]:
        """Estimate the performance of a window that has just closed, and judge it."""
        record = self.ledger.labels.records.get(group)
        if record is None:
            return
        standard = self._standard_at(group.start)
        found = self._assessor.estimated(standard, record, baseline.grid, profile.sample, groups)
        if found is None:
            return
        self._note(group, ESTIMATED, found)
        for verdict in self._assessor.verdicts(standard, (group.segment, ESTIMATED), found, groups):
            yield group, verdict

    def settle(self, tick: int) -> Iterator[Judged]:
        """Count the outcomes of a tick; judge what has matured, and renew what was shown before."""
        self.ledger.apply(tick, self._standard_at)
        shown: set[tuple[int, str]] = set()
        groups = self._groups
        for key in sorted(self.ledger.changed, key=lambda k: (k.start, k.version, k.segment)):
            if self.ledger.labels.records[key].judged:
                self._realise(key, groups[key.start])
                shown.add((key.start, key.version))
        for place in sorted(shown):
            self._compare(*place)
        self.judged = self.ledger.matured(tick)
        for start, version in self.judged:
            yield from self._judge(start, version, groups[start])
            self._compare(start, version)
            self.ledger.mark(start, version)
            self._contest(start, version)

    def scene(self, key: GroupKey) -> tuple[Assessor, Standard, Record | None, int]:
        """Return what a group is measured by, its sums, and how many groups share its window's budget."""
        record = self.ledger.labels.records.get(key)
        return self._assessor, self._standard_at(key.start), record, self._groups[key.start]

    def _judge(self, start: int, version: str, groups: int) -> Iterator[Judged]:
        for key in self._keys(start, version):
            measured = self._realise(key, groups)
            series = key.segment, REALIZED
            for verdict in self._assessor.verdicts(self._standard_at(start), series, measured, groups):
                yield key, verdict

    def _realise(self, key: GroupKey, groups: int) -> Measured:
        record = self.ledger.labels.records[key]
        standard, whole = self._standard_at(key.start), key.segment == ALL
        measured = self._assessor.realised(standard, record, groups, detailed=whole)
        self._note(key, REALIZED, measured)
        return measured

    def _keys(self, start: int, version: str) -> list[GroupKey]:
        return self.ledger.windows[start, version]

    def _compare(self, start: int, version: str) -> None:
        """Renew what a judged window says of its groups and of its worst segments."""
        records = {k.segment: self.ledger.labels.records[k] for k in self._keys(start, version)}
        for label, basis, measured in compared(self._assessor, self._standard_at(start), records):
            self._note(GroupKey(start, version, label), basis, measured)

    def _contest(self, start: int, version: str) -> None:
        wish = self._assessor.plan.model.compare
        if wish is not None and version in (wish.champion, wish.challenger):
            standard = self._standard_at(start)
            self.ledger.labels = contested(self._assessor, self.ledger.labels, standard, start, wish)

    def _note(self, key: GroupKey, basis: str, measured: Measured) -> None:
        labels = self.ledger.labels
        series = SeriesKey(key.version, key.segment, basis)
        windows = {**labels.history.get(series, {}), key.start: measured}
        if len(windows) > HISTORY:
            windows = {start: windows[start] for start in sorted(windows)[-HISTORY:]}
        if measured.detail:
            older = sorted(windows)[:-DETAILED]
            windows |= {s: replace(windows[s], detail={}) for s in older if windows[s].detail}
        self.ledger.labels = replace(labels, history={**labels.history, series: windows})


def begun(
    assessor: Assessor, state: ModelState, watermark: int, *, cut: bool, around: Around
) -> Maturing | None:
    """Return the labels at work, None where no tick has come since they last were."""
    window = assessor.plan.window
    upto = watermark // window * window
    if upto <= state.labels.applied and not cut:
        return None
    with around("join"):
        ledger = Ledger(assessor, state.labels, upto, cut=cut)
    return Maturing(assessor, ledger, state.standard_at, upto)


def without(labels: Labels, kept: set[str]) -> Labels:
    """Return the labels without the history of versions that are not kept."""
    if all(series.version in kept for series in labels.history):
        return labels
    return replace(labels, history={s: h for s, h in labels.history.items() if s.version in kept})
