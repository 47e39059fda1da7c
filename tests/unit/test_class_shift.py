"""Label shift as a monitor: judged before any outcome comes, by what the reference's outcomes say."""

import numpy as np
import pytest

from detectors.base import Level, Verdict
from detectors.beside import Classes
from detectors.calibration import Calibrator
from detectors.class_shift import LABEL_SHIFT, PREDICTION, LabelShift, share_text
from detectors.monitors import Judgement, MonitorSpec
from detectors.profile import CategoryGrid, Grid, WindowProfile, empty
from detectors.table import Counts, Floats
from monitor.class_facts import class_lines, class_status
from monitor.config import Alarms, Model, Monitor
from monitor.config import Source as SourceWish
from monitor.core.class_shares import label_shift_line
from monitor.core.judging import BudgetJudge, monitor_specs
from monitor.core.plan import Plan
from monitor.core.policy import TripKey
from monitor.core.records import SPACE, AuditRecord
from monitor.core.standard import Standard
from monitor.core.state import ModelState, load_model
from monitor.core.verifying import UNEQUAL, verify
from monitor.explain_text import explain_lines
from monitor.facts import model_samples
from monitor.store.memory import MemoryStore
from tests.audits import unequal
from tests.lives import Guess, Process, Sheet, answered, guesses, judged_model
from tests.logs import columns, model, plan_of

RATES = np.array([[0.95, 0.05], [0.3, 0.7]])
NOTHING = empty(Grid(()))
SPEC = MonitorSpec(PREDICTION, LABEL_SHIFT, "prediction_drift")


def verdict(
    predicted: Counts, confusion: Counts, alarms: Judgement, cluster: tuple[float, float] = (1.0, 1.0)
) -> Verdict:
    classes = Classes(("fine", "fraud"), ("score",), confusion, predicted)
    window = WindowProfile(Grid(()), NOTHING, NOTHING, classes=classes)
    return LabelShift([SPEC], alarms).close(window, {"score": cluster})[0]


def test_a_rare_class_that_trebles_is_found_and_a_change_too_small_to_matter_is_not() -> None:
    confusion = RATES * [[19_800], [200]]
    more = np.array([0.97, 0.03]) @ RATES * 20_000
    found = verdict(more, confusion, Judgement(1e-4))

    assert (found.level, found.n, found.kind) == (Level.BREACH, 20_000, "prediction_drift")
    assert found.effect == pytest.approx(0.02 / np.sqrt(0.01 * 0.99), rel=1e-6)
    assert found.note.startswith("shares of the true classes: ")
    assert "fraud 0.03 (" in found.note
    small = verdict(more, confusion, Judgement(1e-4, min_effect=0.3))
    assert (small.level, small.score) == (Level.OK, small.threshold)


def test_rows_that_go_together_count_as_fewer() -> None:
    confusion, more = RATES * [[1900], [100]], np.array([0.85, 0.15]) @ RATES * 1000
    alone, together = (verdict(more, confusion, Judgement(1e-4), (c, c)) for c in (1.0, 10.0))

    assert (alone.level, together.level) == (Level.BREACH, Level.OK)
    assert together.n == alone.n == 1000


def test_calm_windows_hold_the_level() -> None:
    rng, breaches = np.random.default_rng(5), 0
    for _ in range(2000):
        confusion = np.stack([rng.multinomial(n, r) for n, r in zip((1500, 500), RATES, strict=True)])
        window = rng.multinomial(500, np.array([0.75, 0.25]) @ RATES)
        found = verdict(window, confusion, Judgement(0.02, min_effect=0.0))
        breaches += found.level is Level.BREACH

    assert breaches / 2000 == pytest.approx(0.02, abs=0.01)


def test_where_it_cannot_be_known_it_says_why() -> None:
    window, rule = np.array([300.0, 300.0]), Judgement(1e-4)
    blind, empty_class = np.array([[500.0, 500.0], [50.0, 50.0]]), np.array([[500.0, 5.0], [0.0, 0.0]])

    assert "does not tell the classes apart" in verdict(window, blind, rule).note
    assert verdict(window, empty_class, rule).level is Level.NO_REFERENCE
    assert verdict(window, np.zeros((2, 2)), rule).level is Level.NO_REFERENCE
    assert verdict(window / 10, RATES * 500, rule).level is Level.INSUFFICIENT_DATA
    assert "NOT JUDGED: the reference has no outcomes" in label_shift_line(judged_model(), Standard(1))


def without_outcomes() -> Model:
    source = SourceWish(role="predictions", type="files", path="/logs/*")
    alarms = Alarms(min_rows=50)
    return judged_model(monitors=(Monitor(detector=LABEL_SHIFT),), sources=(source,), alarms=alarms)


def scores(rng: np.random.Generator, positive: float, n: int) -> Floats:
    """Return scores of rows whose true share of positives is other than in `answered`, and nothing else."""
    pairs, label = rng.random((n, 2)), rng.random(n) < positive
    return np.asarray(np.where(label, pairs.max(axis=1), pairs.min(axis=1)))


def lived(shares: tuple[float, ...]) -> tuple[ModelState, MemoryStore]:
    rng, made, store = np.random.default_rng(3), without_outcomes(), MemoryStore()
    rows = [
        Guess(f"{hour}-{i}", hour * 60 + i * 0.05, score, place=("north", "south", "west")[i % 3])
        for hour, share in enumerate(shares)
        for i, score in enumerate(scores(rng, share, 900).tolist())
    ]
    process = Process(made, store, BudgetJudge(plan_of(made), Calibrator()), answered=answered(6000))
    process.run(Sheet(guesses(rows), (700, 2000)), flush=True)
    return load_model("m", store.load()), store


def test_a_daemon_without_a_log_of_outcomes_finds_it_in_each_group_and_can_prove_it() -> None:
    state, store = lived((0.5, 0.95))
    found = {key.segment: trip for key, trip in state.trips.items() if key.detector == LABEL_SHIFT}
    whole = found["all"].verdict

    assert set(found) == {"all", "place=north", "place=south", "place=west"}
    assert {(trip.verdict.level, trip.episodes) for trip in found.values() if trip.verdict} == {
        (Level.BREACH, 1)
    }
    assert whole is not None
    assert whole.n == 900
    assert whole.effect == pytest.approx(0.9, abs=0.15)  # 0.45 by the deviation of a half
    assert unequal(store.load()) == {}
    told(plan_of(without_outcomes()), state, store)


def told(plan: Plan, state: ModelState, store: MemoryStore) -> None:
    """Assert that the shares are exported, in the status, and in what explains the episode."""
    trip = state.trips[TripKey("v1", "all", PREDICTION, LABEL_SHIFT)]
    assert trip.verdict is not None
    (no, yes) = trip.verdict.classes
    exported = {
        (s.name, s.labels[1:]): s.value for s in model_samples(plan, state) if "class_share" in s.name
    }
    segments = ("all", "place=north", "place=south", "place=west")

    assert (no.name, yes.name) == ("0", "1")
    assert yes.value == pytest.approx(0.95, abs=0.07)
    assert yes.low < yes.value < yes.high
    assert no.value + yes.value == pytest.approx(1.0)
    assert {labels for _, labels in exported} == {("v1", s, c) for s in segments for c in "01"}
    names = {"": yes.value, "lower_": yes.low, "upper_": yes.high, "reference_": yes.usual}
    assert {n: exported[f"driftd_class_share_{n}ratio", ("v1", "all", "1")] for n in names} == names
    (whole, *_) = found = class_status(plan, state)
    assert whole["classes"]["1"] == dict(zip(("share", "low", "high", "reference"), yes[1:], strict=True))
    assert list(class_lines(found)) == [
        f"  classes     true ones of v1, estimated: 0 {share_text(no)}, 1 {share_text(yes)}"
    ]
    record = AuditRecord.load(store.load()[SPACE, "m", trip.episode])
    document = {"episode": None, "record": record.document(), "verified": None}
    assert f"  what      estimated share of true 0 {share_text(no)}" in explain_lines(document)
    assert f"            1 {share_text(yes)}" in explain_lines(document)
    record.head["verdict"]["classes"][0][1] += 0.01
    assert verify(record).says == UNEQUAL


def test_calm_hours_are_calm() -> None:
    state, _ = lived((0.5, 0.5))
    trip = state.trips[TripKey("v1", "all", PREDICTION, LABEL_SHIFT)]

    assert trip.verdict is not None
    assert (trip.verdict.level, trip.episodes) == (Level.OK, 0)
    line = label_shift_line(without_outcomes(), state.labels.standards[0])
    assert line == "  label_shift: by 6,000 outcomes of the reference"


def test_prior_drift_is_chi_square_of_the_predicted_class_and_both_share_the_budget() -> None:
    wished = (Monitor(detector="prior_drift", threshold=30.0), Monitor(detector=LABEL_SHIFT))
    made = model(task="binary", columns=columns(prediction="y"), monitors=wished)
    found = monitor_specs(made, Grid((CategoryGrid(PREDICTION, ("0", "1")),)))

    assert found == (MonitorSpec(PREDICTION, "chi2", "prediction_drift", 30.0), SPEC)
