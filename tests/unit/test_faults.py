"""Faulty values gathered over windows: bets of mean one at most, kept rates, slow rises found sooner."""

import numpy as np
import pytest
from msgspec.structs import replace
from scipy import stats

from detectors.base import Level
from detectors.calibration import Calibrator
from detectors.faults import RATIOS, TOLERANCE, Counts, Faults, after, fault_monitors, settle
from detectors.monitors import Judgement, MonitorSpec
from detectors.profile import CategoryGrid, Grid, NumericGrid, Profile, WindowProfile, empty
from detectors.quality import Quality
from detectors.sequential import Wealth
from monitor.config import Alarms, Monitor
from monitor.core.judging import BudgetJudge, monitor_specs
from monitor.core.state import load_model
from monitor.store.memory import MemoryStore
from tests.audits import unequal
from tests.lives import Cut, Process
from tests.logs import Row, model, plan_of

NAME = ("town", "e_null_share")
GRID = Grid((CategoryGrid("town", ("a",)),))
ROWS, KNOWN = 2000, 20_000
ALARMS = Judgement(level=1e-4)
NONE = Wealth(np.zeros((1, len(RATIOS))), np.zeros(1, bool))


def counts(faulty: float, rows: float = ROWS, found: float = 200, cluster: float = 1.0) -> Counts:
    one = [np.array([float(n)]) for n in (found, KNOWN, faulty, rows, cluster, cluster)]
    return Counts((NAME,), *one)


def profile(rows: int, null: int) -> Profile:
    nothing = empty(GRID, sample=False)
    return Profile(rows, np.array([rows - null, 0, 0, null, 0]), nothing.low, nothing.high)


@pytest.mark.parametrize("cluster", [1.0, 7.0])
def test_no_bet_gains_on_average_while_the_share_is_usual(cluster: float) -> None:
    share = float(counts(0).usual[0])
    law = stats.binom(60, share).pmf(np.arange(61))
    gains = np.array([np.exp(counts(k, 60, cluster=cluster).gains()[0]) for k in range(61)])

    assert (law @ gains <= 1.0 + 1e-9).all()
    assert 0.01 + TOLERANCE < share < 0.0115 + TOLERANCE


def test_the_rate_of_false_alarms_is_kept_where_the_share_is_the_largest_usual_one() -> None:
    rng, level, first = np.random.default_rng(4), 1 / 30, []
    for _ in range(150):
        wealth, run = NONE, 0
        while run < 400 and wealth.scores[0] <= 1 / level:
            wealth = after(wealth, counts(rng.binomial(ROWS, counts(0).usual[0])), 100)
            run += 1
        first.append(run)

    assert np.mean(first) > 30


def test_a_slow_rise_from_one_to_two_per_cent_is_found_sooner_than_by_single_windows() -> None:
    rng, spec = np.random.default_rng(2), MonitorSpec(*NAME, "quality")
    alone = Quality([MonitorSpec("town", "null_share", "quality")], ALARMS)
    found: dict[str, list[int]] = {"alone": [], "gathered": []}
    for _ in range(6):
        wealth = NONE
        first = {"alone": 250, "gathered": 250}
        for window in range(250):
            null = int(rng.binomial(ROWS, 0.01 + 0.01 * min(window / 200, 1.0)))
            seen = WindowProfile(GRID, profile(ROWS, null), profile(KNOWN, 200))
            wealth = after(wealth, Counts.of(seen), ALARMS.min_rows)
            told = replace(seen, faults=Counts.of(seen).gathered(wealth))
            for name, (verdict,) in (
                ("alone", alone.close(seen)),
                ("gathered", Faults([spec], ALARMS).close(told)),
            ):
                if verdict.level is Level.BREACH:
                    first[name] = min(first[name], window)
        for name, at in first.items():
            found[name].append(at)

    assert max(found["gathered"]) < 150
    assert np.median(found["gathered"]) + 30 < np.median(found["alone"])


def test_a_score_that_fired_is_held_and_begins_anew_when_the_share_is_usual_again() -> None:
    spec, names, wealth = MonitorSpec(*NAME, "quality"), (NAME,), NONE
    levels = []
    for faulty in [20] * 5 + [90] * 8 + [15] * 12:
        one = counts(faulty)
        wealth = after(wealth, one, 100)
        seen = WindowProfile(GRID, profile(ROWS, faulty), profile(KNOWN, 200), faults=one.gathered(wealth))
        verdicts = Faults([spec], ALARMS).close(seen)
        wealth = settle(wealth, names, verdicts)
        levels.append(verdicts[0].level)

    assert levels[:5] == [Level.OK] * 5
    assert levels[6:13] == [Level.BREACH] * 7
    assert levels[-1] is Level.OK
    assert not wealth.flagged.any()


def test_each_kind_of_fault_is_counted_on_features_that_can_have_it() -> None:
    numeric = NumericGrid("x", 0.0, 1.0, (0.5,), 0.5, 2.0**-30, 0.3, (0.2, 0.8))
    grid = Grid((numeric, CategoryGrid("town", ("a",))))
    every = {(s.feature, s.detector) for s in fault_monitors(grid)}
    chosen = monitor_specs(model(monitors=(Monitor(detector="e_out_of_range", threshold=500.0),)), grid)

    assert every == {
        *(("x", name) for name in ("e_null_share", "e_type_failures", "e_out_of_range")),
        *(("town", name) for name in ("e_null_share", "e_new_category")),
    }
    assert [(s.feature, s.detector, s.threshold) for s in chosen] == [("x", "e_out_of_range", 500.0)]


def test_a_daemon_finds_missing_values_of_a_version_and_can_account_for_it() -> None:
    rng, store = np.random.default_rng(1), MemoryStore()
    made = model(monitors=(Monitor(detector="e_quality"),), alarms=Alarms(min_rows=20, budget="1 per 1h"))
    rows = [
        Row(f"{minute}-{i}", minute * 60 + i, None if rng.random() < share else 0.1, version=version)
        for minute in range(30)
        for version, share in (("good", 0.0), ("bad", 0.04 if minute >= 10 else 0.0))
        for i in range(50)
    ]
    rows = [Row(f"{r.id}{r.version}", r.at, r.x, r.colour, r.version) for r in rows]
    Process(made, store, BudgetJudge(plan_of(made), Calibrator())).run(Cut(rows, (400, 401)), flush=True)
    state = load_model("m", store.load())
    found = {(k.version, k.feature, k.detector) for k, t in state.trips.items() if t.episodes}

    assert ("bad", "x", "e_null_share") in found
    assert {version for version, _, _ in found} == {"bad"}
    assert unequal(store.load()) == {}
