"""Versions that appear in the log, and what they do to the rules of retraining."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from detectors.base import Level, Verdict
from detectors.profile import WindowProfile
from detectors.series import Lent, Series
from monitor.config import Alarms, Retrain
from monitor.core.arrivals import KEPT, Arrivals, appeared, load_arrivals
from monitor.core.profiles import OTHER
from monitor.core.reference import Baseline
from monitor.core.state import load_model
from monitor.outgoing import load_outbox
from monitor.store.memory import MemoryStore
from tests.lives import Cut, DiedError, Process, lasting, lived
from tests.logs import EPOCH, MINUTE, Row, columns, model

ASKED = model(
    columns=columns(),
    alarms=Alarms(enter=1, keep_firing=1),
    retrain=(Retrain(webhook="hook", when=("drift",), cooldown=timedelta(hours=1), max_per_week=3),),
)


def judge(
    baseline: Baseline | None,
    window: WindowProfile | None,
    groups: int,  # noqa: ARG001 - the judge of a rule of its own
    series: Series | Lent | None = None,  # noqa: ARG001
) -> Sequence[Verdict]:
    """Let x drift in windows of two rows, colour in windows of three."""
    if baseline is None or window is None:
        return [Verdict("reference", "_all", "quality", Level.NO_REFERENCE, 0)]
    rows = window.window.rows
    fired = {"x": rows >= 2, "colour": rows >= 3}
    return [
        Verdict("ks", name, "drift", Level.BREACH if fires else Level.OK, rows, float(fires), 0.5)
        for name, fires in fired.items()
    ]


def rows(*windows: dict[str, int]) -> list[Row]:
    """Return a log; each window says how many rows which version has. One row more closes the last window."""
    found = [
        Row(f"{place}/{version}/{i}", place * 60 + i, version=version)
        for place, window in enumerate(windows)
        for version, count in window.items()
        for i in range(count)
    ]
    return [*found, Row("end", len(windows) * 60 + 40, version="v1")]


def asked(store: MemoryStore) -> list[int]:
    """Return the windows whose ends asked, counted from 1."""
    notes = load_outbox(store.load()).queued.values()
    return sorted((queued.note.created - EPOCH) // MINUTE for queued in notes)


OLD = rows({"v1": 1}, {"v1": 2}, {"v1": 2}, {"v1": 3}, {"v1": 3})
NEW = rows({"v1": 1}, {"v1": 2}, {"v1": 2, "v2": 1}, {"v1": 3, "v2": 1}, {"v1": 3, "v2": 2})


def test_a_new_version_in_the_log_ends_the_cooldown_once() -> None:
    assert asked(lived(ASKED, OLD, judge=judge)) == [2]
    assert asked(lived(ASKED, NEW, judge=judge)) == [2, 4]


def test_a_version_that_was_there_before_the_request_ends_nothing() -> None:
    log = rows({"v1": 1, "v2": 1}, {"v1": 2, "v2": 1}, {"v1": 2}, {"v1": 3, "v2": 3})
    assert asked(lived(ASKED, log, judge=judge)) == [2]


@pytest.mark.parametrize("died", [1, 3, 4, 6, 9])
def test_a_kill_or_another_batching_asks_the_same(died: int) -> None:
    whole = lived(ASKED, NEW, judge=judge)
    store = MemoryStore()
    for commits in (died, 2):
        with pytest.raises(DiedError):
            Process(ASKED, store, judge, dies_after=commits).run(Cut(NEW, range(len(NEW))), flush=False)
    Process(ASKED, store, judge).run(Cut(NEW, [died]), flush=False)

    assert lasting(store) == lasting(whole)
    assert load_model("m", store.load()).arrivals == Arrivals({"v1": 0, "v2": EPOCH + 3 * MINUTE})


def test_the_rest_of_too_many_versions_is_no_version() -> None:
    assert appeared("m", Arrivals({"v1": 0}), ["v1", OTHER], 7) == (Arrivals({"v1": 0}), {})


def test_what_is_known_before_this_was_remembered_is_new_to_nobody() -> None:
    after, changes = appeared("m", Arrivals(), ["v1", "v2"], 7)
    assert after.newest == 0
    assert set(changes.values()) == {b"0"}


def test_no_more_than_a_number_of_versions_is_remembered_and_all_of_it_comes_back() -> None:
    store, arrivals = MemoryStore(), Arrivals()
    for tick in range(KEPT + 50):
        arrivals, changes = appeared("m", arrivals, [f"v{tick}", 'odd "name"\n'], tick)
        store.commit(changes)
        assert arrivals.newest == tick
    found = load_model("m", store.load()).arrivals
    assert found == arrivals
    assert len(found.log) == KEPT
    assert load_arrivals({}) == Arrivals()
