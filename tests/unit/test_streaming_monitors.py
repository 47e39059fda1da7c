"""Which streams a model has, and what becomes of them: references, restarts, versions, too few rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from detectors.base import Level
from monitor.config import Columns, Model, Monitor
from monitor.core.policy import TripKey
from monitor.core.profiles import GroupKey, Rows
from monitor.core.reference import Baseline
from monitor.core.standard import Standard
from monitor.core.state import ModelState, load_model
from monitor.core.stream_state import Held, StreamKey, Stretch, load_streams, stream_changes
from monitor.core.streaming import Spec, Streaming
from monitor.core.streams import Pass, feed_rows
from monitor.core.usual import Usual
from monitor.store.memory import MemoryStore
from monitor.stream_opening import with_streams
from tests.lives import Answer, Guess, Process, Sheet, answered, answers, guesses, judged_model, lived
from tests.logs import EPOCH, MINUTE, Row, frame_of, mean_judge, model, reference

ADWIN = Monitor(detector="adwin", on=("x",))
E_SR = Monitor(detector="e_sr", on=("x",))
KEY = StreamKey("v1", "x", "adwin")
ERRORS = Usual.of((np.random.default_rng(3).random(2_000) < 0.1).astype(float), mapped=False)


def rows(times: Sequence[int], version: str = "v1", x: float | None = 1.0) -> Rows:
    """Return rows in these minutes."""
    frame = frame_of([Row(str(i), 0, x, version=version) for i in range(len(times))])
    start = np.array([EPOCH + at * MINUTE for at in times])
    return Rows(start, np.arange(len(times)).astype(np.uint64), frame, {})


def state_of(*baselines: Baseline) -> ModelState:
    return ModelState("m", baselines=baselines)


def second(made: Model, since: int) -> Baseline:
    """Return a later reference, of other rows, for windows from a minute on."""
    return replace(reference(made, seed=1), number=2, since=EPOCH + since * MINUTE)


def specs_of(made: Model, **usual: Usual | None) -> list[Spec]:
    known = {f"_{name}": found for name, found in usual.items() if found is not None}
    return list(Streaming(made).of_outcomes(Standard(1, usual=known)))


def test_without_monitors_a_classifier_has_its_errors_watched_beyond_the_tolerance() -> None:
    (spec,) = specs_of(judged_model(), error=ERRORS)

    assert (spec.feature, spec.detector, spec.kind) == ("_error", "e_sr", "performance")
    assert "moves by 0.01" in spec.says
    assert spec.make is not None


def test_a_regression_has_its_losses_watched() -> None:
    columns = Columns(prediction_id="id", prediction="y", label="l")
    losses = Usual.of(np.abs(np.random.default_rng(1).normal(size=10_000)), mapped=True)

    (spec,) = specs_of(judged_model(task="regression", columns=columns), loss=losses)

    assert (spec.feature, spec.detector) == ("_loss", "e_sr")
    assert spec.pit is not None
    assert "moves by 0.03" in spec.says  # a tenth of each loss


@pytest.mark.parametrize("how", [{"monitors": (ADWIN,)}, {}])
def test_nothing_is_watched_by_default_with_monitors_or_without_outcomes_in_the_reference(
    how: dict[str, Any],
) -> None:
    assert specs_of(judged_model(**how), error=ERRORS if how else None) == []


def test_nothing_is_watched_where_no_outcomes_are_read() -> None:
    assert specs_of(model(task="binary"), error=ERRORS) == []


def test_without_outcomes_in_the_reference_e_sr_says_so_and_rules_go_on() -> None:
    wished = (Monitor(detector="e_sr", on="error"), Monitor(detector="ddm"))

    e_sr, ddm = specs_of(judged_model(monitors=wished))

    assert (e_sr.make, e_sr.level, e_sr.why) == (None, Level.NO_REFERENCE, "the reference has no outcomes")
    assert ddm.make is not None


def test_a_reference_that_is_too_small_is_too_little_to_go_by() -> None:
    (spec,) = specs_of(judged_model(), error=Usual.of(np.ones(3), mapped=False))

    assert (spec.make, spec.level) == (None, Level.INSUFFICIENT_DATA)
    assert "3 rows of reference" in spec.why


def test_where_errors_depend_on_each_other_the_means_of_blocks_are_judged() -> None:
    rng = np.random.default_rng(2)
    bursts = (rng.random(40_000) < np.repeat(rng.uniform(0, 0.4, 2_000), 20)).astype(float)
    known = Usual.of(bursts, mapped=False)
    assert known is not None

    (default,) = specs_of(judged_model(), error=known)
    own = Monitor(detector="e_sr", on="error", parameters={"block": 4})
    (asked,) = specs_of(judged_model(monitors=(own,)), error=known)

    assert f"by the means of {known.block} rows" in default.says
    assert "NOT KEPT" in asked.says
    assert "write means = true" in asked.says


def test_columns_have_kinds_and_scales() -> None:
    wished = (
        Monitor(detector="adwin", on="numeric"),
        Monitor(detector="e_sr", on="score"),
        Monitor(detector="kswin", on="numeric", scale="raw"),
    )
    columns = Columns(prediction_id="id", timestamp="at", score="p")
    made = model(task="binary", columns=columns, monitors=wished)

    found = {(s.feature, s.detector): s for s in Streaming(made).of_rows(reference(model()))}

    assert {key: spec.kind for key, spec in found.items()} == {
        ("x", "adwin"): "drift",
        ("x", "kswin"): "drift",
    }
    assert found["x", "adwin"].pit is not None
    assert found["x", "kswin"].pit is None


def test_a_new_reference_begins_streams_anew_and_rows_of_older_windows_are_left_out() -> None:
    made = model(monitors=(ADWIN,))
    state = state_of(reference(made), second(made, 10))

    after = feed_rows(Streaming(made), state, rows([8, 9, 9, 10, 9, 10]))

    held = after.streams[KEY]
    assert held.number == 2
    assert {(s - EPOCH) // MINUTE: p.rows for s, p in held.windows.items()} == {8: 1, 9: 2, 10: 2}
    alone = feed_rows(Streaming(made), state, rows([10, 10])).streams[KEY]
    assert held.data == alone.data


@settings(max_examples=50)
@given(st.lists(st.integers(5, 15), min_size=1, max_size=30), st.integers(0, 30))
def test_where_rows_are_cut_does_not_matter_when_references_change(times: list[int], cut: int) -> None:
    made = model(monitors=(ADWIN, E_SR))
    streaming, state = Streaming(made), state_of(reference(made), second(made, 10))

    whole = feed_rows(streaming, state, rows(times))
    parts = feed_rows(streaming, feed_rows(streaming, state, rows(times[:cut])), rows(times[cut:]))

    assert parts.streams == whole.streams


def test_a_window_is_judged_once_and_then_forgotten() -> None:
    made = model(monitors=(ADWIN,))
    streaming, first = Streaming(made), reference(made)
    state = feed_rows(streaming, state_of(first), rows([1, 1, 2]))
    one = Pass(streaming, state)
    (verdict,) = one.close(first, GroupKey(EPOCH + MINUTE, "v1"))
    (again,) = one.close(first, GroupKey(EPOCH + MINUTE, "v1"))

    assert (verdict.level, verdict.n, verdict.score, verdict.threshold) == (Level.OK, 2, 0.0, 0.5)
    assert (again.level, again.score) == (Level.INSUFFICIENT_DATA, None)
    assert list(one.streams[KEY].windows) == [EPOCH + 2 * MINUTE]
    assert list(one.close(first, GroupKey(EPOCH + MINUTE, "v1", "place=north"))) == []


def test_rows_without_a_value_are_not_judged() -> None:
    made = model(monitors=(ADWIN,))
    streaming, first = Streaming(made), reference(made)
    state = feed_rows(streaming, state_of(first), rows([1, 1], x=None))

    one = Pass(streaming, state)
    (verdict,) = one.close(first, GroupKey(EPOCH + MINUTE, "v1"))
    changes = {("stream", "m", '["v1","x","adwin"]'): b""}

    after = one.finish(state, dict(changes))
    assert (verdict.level, verdict.n) == (Level.INSUFFICIENT_DATA, 0)
    assert after.book.counts == {("", "stream_rows", ""): 2, ("", "stream_left_out", ""): 2}
    assert after.streams == {}  # no version is known


def test_streams_come_back_as_they_were_written() -> None:
    held = Held(3, b'\x00\n{"a"', {5: Stretch(4, 1, 2, 1e300), 7: Stretch()})

    changes = stream_changes("m", {}, {StreamKey("v", "_error", "e_sr"): held})

    entries = {key: value for (_, _, key), value in changes.items() if value is not None}
    assert load_streams(entries) == {StreamKey("v", "_error", "e_sr"): held}
    gone = stream_changes("m", load_streams(entries), {})
    assert list(gone.values()) == [None]


@pytest.mark.parametrize(
    ("monitors", "event"),
    [
        ((Monitor(detector="adwin", on=("x",), parameters={"delta": 0.1}),), "stream begins anew"),
        ((Monitor(detector="adwin", on=("x",), scale="raw"),), "stream begins anew"),
        ((Monitor(detector="adwin", on="numeric"),), ""),
        ((E_SR,), "stream forgotten"),
    ],
)
def test_a_stream_that_does_not_fit_any_more_is_let_go(
    monitors: tuple[Monitor, ...], event: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = model(monitors=(ADWIN,))
    state = feed_rows(Streaming(made), state_of(reference(made)), rows([1, 2]))

    after, changes = with_streams(Streaming(model(monitors=monitors)), state)

    said = capsys.readouterr()
    assert ("stream" in said.out + said.err) is bool(event)
    assert event in said.out + said.err
    assert changes == ({("stream", "m", '["v1","x","adwin"]'): None} if event else {})
    assert (KEY in after.streams) is not bool(event)


def test_versions_that_are_forgotten_lose_their_streams() -> None:
    made = model(monitors=(ADWIN,))
    log = [Row(f"{i}", i * 60, 1.0, version="old" if i < 3 else "new") for i in range(400)]

    store = lived(made, log, flush=True)

    state = load_model("m", store.load())
    assert {key.version for key in state.streams} == {"new"} == state.book.versions.keys()


def test_a_window_without_outcomes_is_not_judged() -> None:
    process = Process(judged_model(), MemoryStore(), mean_judge(), answered=answered(4_000))
    made = [Guess(str(i), i * 0.5) for i in range(100)]
    later = [Guess(f"late{i}", 400 + i * 0.5) for i in range(600)]
    known = [Answer(f"late{i}", 401 + i * 0.5) for i in range(600)]

    process.run(Sheet(guesses(made + later)), Sheet(answers(known), (), "outcomes-1"), flush=True)

    trip = process.worker.state.trips[TripKey("v1", "all", "_error", "e_sr")]
    assert trip.verdict is not None
    assert trip.judged is not None
    assert trip.judged.n > 0
