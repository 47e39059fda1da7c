"""Closing windows: in order, once each, each group judged with its share of the budget."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from msgspec.structs import replace

from detectors.base import Level, Verdict
from detectors.profile import WindowProfile
from detectors.series import Lent, Series
from monitor.config import Alarms, Model, Retrain
from monitor.core.closing import Closed, close_until
from monitor.core.pipeline import Context, take_in
from monitor.core.policy import Phase, TripKey
from monitor.core.reference import Baseline
from monitor.core.state import ModelState
from monitor.performing import shown_state
from tests.logs import EPOCH, FAR, MINUTE, Row, feed, model, plan_of, reference

END = EPOCH + 10**6 * MINUTE


class Recorder:
    """A judge that remembers what it was asked, and says what it is told per window of `all`."""

    def __init__(self, levels: Sequence[Level] = (), kind: str = "drift") -> None:
        self.asked: list[tuple[int, int, WindowProfile | None]] = []
        self._levels = list(levels)
        self._kind = kind

    def __call__(
        self,
        baseline: Baseline | None,
        window: WindowProfile | None,
        groups: int,
        series: Series | Lent | None = None,
    ) -> Sequence[Verdict]:
        rows = window.window.rows if window else -1
        self.asked.append((rows, groups, window))
        level = self._levels.pop(0) if self._levels else Level.OK
        score = 0.9 if level is Level.BREACH else 0.1 if level is Level.OK else None
        assert (baseline is None) <= (window is None)
        assert series is None  # no reference here spans enough windows
        return [Verdict("ks", "x", self._kind, level, rows, score, None if score is None else 0.5)]


def opened(
    made: Model, rows: list[Row], *baselines: Baseline, extra: dict[str, str] | None = None
) -> ModelState:
    fed = feed(made, rows, [], extra)
    state = ModelState(made.name, baselines=baselines)
    return take_in(Context(plan_of(made), fed.schema, FAR), state, fed.batches[0], fed.decoded[0]).state


def closed(made: Model, state: ModelState, judge: Recorder, watermark: int = END) -> Closed:
    return close_until(plan_of(made), judge, state, watermark)


PLAIN = model(columns=model().columns.model_copy(update={"segments": ()}), lateness=timedelta(hours=9))


def test_only_what_is_over_closes_and_the_oldest_first() -> None:
    state = opened(
        PLAIN,
        [Row("c", 130), Row("a", 0), Row("a2", 1), Row("b", 70), Row("b2", 71), Row("b3", 72)],
        reference(PLAIN),
    )
    judge = Recorder()
    after = closed(PLAIN, state, judge, EPOCH + 2 * MINUTE)
    assert [rows for rows, _, _ in judge.asked] == [2, 3]
    assert {key.start for key in after.state.windows} == {EPOCH + 2 * MINUTE}
    assert (after.state.book.windows_closed, after.state.book.last_closed) == (2, EPOCH + MINUTE)
    assert set(after.state.ids.runs) == {EPOCH + 2 * MINUTE}
    again = closed(PLAIN, after.state, judge, EPOCH + 2 * MINUTE)
    assert again.state is after.state
    assert again.changes == {}


def test_an_earlier_windows_rows_are_the_history_of_the_next() -> None:
    state = opened(
        PLAIN, [Row(f"{w}/{i}", w * 60 + i) for w in range(4) for i in range(w + 1)], reference(PLAIN)
    )
    judge = Recorder()
    after = closed(PLAIN, state, judge).state
    assert [window.history for _, _, window in judge.asked if window] == [(), (1,), (1, 2), (1, 2, 3)]
    assert after.volumes == {("v1", "all"): (1, 2, 3, 4)}


def test_history_is_bounded() -> None:
    state = opened(PLAIN, [Row(f"{w}", w * 60) for w in range(200)], reference(PLAIN))
    judge = Recorder()
    after = closed(PLAIN, state, judge).state
    assert len(after.volumes["v1", "all"]) == 168
    assert judge.asked[-1][2] is not None
    assert len(judge.asked[-1][2].history) == 168


def test_the_groups_of_a_window_share_its_budget_and_come_in_order() -> None:
    made = model(lateness=timedelta(hours=9))
    rows = [Row("a", 0, version="v2", place="south"), Row("b", 1), Row("c", 2, place="mars"), Row("d", 60)]
    state = opened(made, rows, reference(made))
    judge = Recorder()
    after = closed(made, state, judge).state
    assert [(rows, groups) for rows, groups, _ in judge.asked] == [
        (2, 5), (1, 5), (1, 5), (1, 5), (1, 5), (1, 2), (1, 2)
    ]  # fmt: skip
    assert list(after.trips) == [
        TripKey(version, segment, "x", "ks")
        for version, segment in [
            ("v1", "all"), ("v1", "place=_other"), ("v1", "place=north"), ("v2", "all"), ("v2", "place=south")
        ]
    ]  # fmt: skip


def test_a_window_before_any_reference_is_not_judged_and_later_ones_are() -> None:
    baseline = replace(reference(PLAIN), since=EPOCH + MINUTE)
    state = opened(PLAIN, [Row("a", 0), Row("b", 60)], baseline)
    judge = Recorder()
    closed(PLAIN, state, judge)
    assert [window is None for _, _, window in judge.asked] == [True, False]


def test_every_window_is_judged_by_the_reference_of_its_time() -> None:
    old, new = reference(PLAIN), replace(reference(PLAIN, seed=5), number=2, since=EPOCH + MINUTE)
    state = opened(PLAIN, [Row("b", 60), Row("a", 0), Row("c", 120)], old, new)
    judge = Recorder()
    closed(PLAIN, state, judge)
    grids = [window.grid for _, _, window in judge.asked if window]
    assert [grid == old.grid for grid in grids] == [True, False, False]
    assert grids[1] == new.grid


def test_columns_that_nobody_knows_are_told_for_the_whole_model_only() -> None:
    made = model(lateness=timedelta(hours=9))
    state = opened(made, [Row("a", 0), Row("b", 60)], reference(made), extra={"region": "eu", "zone": "z"})
    judge = Recorder()
    after = closed(made, state, judge, EPOCH + MINUTE).state
    found = [window.columns_unknown for _, _, window in judge.asked if window]
    assert found == [{"region", "zone"}, frozenset()]
    assert set(after.book.unknown) == {EPOCH + MINUTE}


def test_a_column_without_any_value_is_missing() -> None:
    state = opened(PLAIN, [Row("a", 0, x=None), Row("b", 60, x=1.0, colour=None)], reference(PLAIN))
    judge = Recorder()
    closed(PLAIN, state, judge)
    assert [window.columns_missing for _, _, window in judge.asked if window] == [{"x"}, {"colour"}]


def test_late_rows_leave_no_trace_of_their_columns() -> None:
    made = model(lateness=timedelta(0))
    state = opened(made, [Row("a", 600), Row("b", 0), Row("a", 601)], reference(made), extra={"region": "eu"})
    assert set(state.book.unknown) == {EPOCH + 600 * 10**6}


HOOKED = PLAIN.model_copy(
    update={
        "retrain": (Retrain(webhook="train", when=("drift",), cooldown=timedelta(0), max_per_week=100),),
        "alarms": Alarms(enter=1, keep_firing=1),
    }
)


def test_an_episode_asks_for_a_retraining_once() -> None:
    breach, ok = Level.BREACH, Level.OK
    levels = [ok, breach, breach, Level.INSUFFICIENT_DATA, breach, ok, breach]
    state = opened(HOOKED, [Row(f"{w}", w * 60) for w in range(7)], reference(HOOKED))
    after = closed(HOOKED, state, Recorder(levels))
    assert [note.created for note in after.notes] == [EPOCH + 2 * MINUTE, EPOCH + 7 * MINUTE]
    assert [(t.before, t.after) for t in after.transitions] == [
        (Phase.INACTIVE, Phase.FIRING), (Phase.FIRING, Phase.INACTIVE), (Phase.INACTIVE, Phase.FIRING)
    ]  # fmt: skip
    assert after.transitions[0].episode == after.transitions[1].episode != after.transitions[2].episode
    assert after.state.book.counts["train", "retrain", "requested"] == 2
    (trip,) = after.state.trips.values()
    assert (trip.episodes, trip.episode) == (2, after.transitions[2].episode)
    one_by_one: list[str] = []
    for window in range(1, 8):
        step = closed(HOOKED, state, Recorder([levels[window - 1]]), EPOCH + window * MINUTE)
        state, one_by_one = step.state, [*one_by_one, *(note.id for note in step.notes)]
    assert one_by_one == [note.id for note in after.notes]


@pytest.mark.parametrize(("kind", "asks"), [("drift", 1), ("quality", 0)])
def test_only_the_wanted_kinds_ask(kind: str, asks: int) -> None:
    state = opened(HOOKED, [Row("a", 0)], reference(HOOKED))
    assert len(closed(HOOKED, state, Recorder([Level.BREACH], kind)).notes) == asks


def test_a_version_without_rows_goes_stale_even_while_it_fires() -> None:
    rows = [Row("old", 0, version="old"), *(Row(f"{w}", w * 60, version="new") for w in range(6))]
    state = opened(PLAIN, rows, reference(PLAIN))
    plan = plan_of(PLAIN)
    judge = Recorder([Level.OK, Level.BREACH])  # in a window versions come in their order: new, old
    shown = []
    for window in range(1, 7):
        state = closed(PLAIN, state, judge, EPOCH + window * MINUTE).state
        shown.append(str(shown_state(plan, state, state.trips[TripKey("old", "all", "x", "ks")])))
    assert shown == ["firing", "firing", "firing", "stale", "stale", "stale"]
    assert str(shown_state(plan, state, state.trips[TripKey("new", "all", "x", "ks")])) == "ok"
