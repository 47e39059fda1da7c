"""What a reference says about its own predictions, and what windows are estimated and judged by."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from detectors.base import Level, Verdict
from monitor.config import Columns, Features, Model, Performance, Reference, Source
from monitor.core.assessing import Assessor
from monitor.core.joining import Joining, with_losses
from monitor.core.labels import ESTIMATED, REALIZED, Labels, Measured, Record
from monitor.core.outcomes import Vocabulary
from monitor.core.plan import Plan
from monitor.core.profiles import ALL
from monitor.core.reference import Baseline
from monitor.core.standard import Standard
from monitor.core.state import ModelState
from monitor.errors import ReferenceUnusableError
from monitor.references import baseline_of, measured_of, schema_of, standard_of

N = 4000


def model(**settings: Any) -> Model:  # noqa: ANN401 - the fields of Model
    known: dict[str, Any] = {
        "name": "m",
        "task": "binary",
        "window": timedelta(hours=1),
        "columns": Columns(prediction_id="id", score="p", prediction="y", label="t", segments=("place",)),
        "features": Features(numeric=("x",)),
        "reference": Reference(path=Path("reference.parquet")),
        "sources": (Source(role="both", type="files", path="/logs/*.jsonl"),),
    }
    return Model(**{**known, **settings})


def binary(seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    score = rng.random(N)
    label = (rng.random(N) < score).astype(int)
    place = rng.choice(["north", "south"], N)
    return pl.DataFrame(
        {"x": rng.normal(size=N), "p": score, "y": (score > 0.5).astype(int), "t": label, "place": place}
    )


def prices(seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.random(N)
    return pl.DataFrame({"x": x, "y": 10 * x, "t": 10 * x + rng.normal(size=N) * (0.5 + 2 * x)})


def measured(made: Model, frame: pl.DataFrame) -> tuple[Assessor, Baseline, Standard]:
    schema = schema_of(made, frame)
    baseline = baseline_of(schema, frame, "file reference.parquet")
    return Assessor(Plan.of(made), Vocabulary.of(made)), baseline, standard_of(made, schema, frame, baseline)


def priced() -> Model:
    return model(task="regression", columns=Columns(prediction_id="id", prediction="y", label="t"))


def window(assessor: Assessor, standard: Standard, frame: pl.DataFrame, made: Model) -> Record:
    schema = schema_of(made, frame)
    other = standard_of(made, schema, frame, baseline_of(schema, frame, "window"))
    measure = assessor.bench(standard).measure
    prediction = frame["y"].cast(pl.Float64).to_numpy()
    rows = pl.DataFrame({"prediction": prediction, **({"score": frame["p"]} if "p" in frame.columns else {})})
    opened = measure.open_sums(assessor.vocabulary.scored(rows), np.zeros(N, np.int64), 1)[0]
    return Record.of(N, N, other.sums[ALL], opened)


def test_a_reference_has_the_accuracy_of_its_rows_in_all_and_in_each_segment() -> None:
    frame = binary(1)
    assessor, _, standard = measured(model(), frame)

    known = assessor.bench(standard).reference
    right = frame.with_columns(right=pl.col("y") == pl.col("t"))
    assert known[ALL]["accuracy"].value == pytest.approx(right["right"].mean())
    for place in ("north", "south"):
        share = right.filter(pl.col("place") == place)["right"].mean()
        assert known[f"place={place}"]["accuracy"].value == pytest.approx(share)


def test_a_reference_without_outcomes_has_no_performance() -> None:
    assessor, _, standard = measured(model(), binary(1).drop("t"))

    assert standard.sums == {}
    assert assessor.bench(standard).reference == {}
    assert assessor.bench(standard).calibration is None


@pytest.mark.parametrize("labelled", [True, False])
def test_scores_that_are_no_probabilities_are_refused(labelled: bool) -> None:  # noqa: FBT001 - a case
    frame = binary(1).with_columns(p=pl.int_range(N) % 101)
    said = "file reference.parquet: p holds 0 to 100; probabilities of 0 to 1 are needed"

    with pytest.raises(ReferenceUnusableError, match=said):
        measured(model(), frame if labelled else frame.drop("t"))


def test_the_class_whose_scores_are_no_probabilities_is_named() -> None:
    made = model(
        task="multiclass",
        columns=Columns(prediction_id="id", prediction="y", label="t", score={"0": "pa", "1": "pb"}),
    )
    frame = binary(1).with_columns(pa=1 - pl.col("p"), pb=pl.col("p") - 0.25).drop("p")

    with pytest.raises(ReferenceUnusableError, match=r"pb holds -0\.24\d+ to 0\.7\d+; probabilities"):
        measured(made, frame)


def test_rounding_and_missing_scores_are_no_matter() -> None:
    frame = binary(1).with_columns(p=pl.when(pl.col("p") > 0.5).then(1.0 + 1e-7).otherwise(None))
    _, _, standard = measured(model(), frame)

    assert standard.sums


def test_what_was_measured_is_stored_whole() -> None:
    for made, frame in ((model(), binary(2)), (priced(), prices(2))):
        _, _, standard = measured(made, frame)
        again = Standard.load(standard.dump())

        assert (again.number, again.values, again.edges) == (standard.number, standard.values, standard.edges)
        assert again.loss == standard.loss
        assert all(np.array_equal(again.sums[label], sums) for label, sums in standard.sums.items())


def test_a_stored_model_of_losses_that_was_changed_is_refused() -> None:
    _, _, standard = measured(priced(), prices(3))
    whole = standard.dump()
    at = whole.index(standard.loss[200:264])
    broken = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]

    with pytest.raises(ValueError, match="not the ones that were stored"):
        Standard.load(broken)


def test_classes_are_estimated_before_their_outcomes_come() -> None:
    made = model()
    assessor, baseline, standard = measured(made, binary(4))
    frame = binary(5)
    found = assessor.estimated(standard, window(assessor, standard, frame, made), baseline.grid, None, 1)

    assert found is not None
    accuracy, truth = found.metrics["accuracy"], (frame["y"] == frame["t"]).mean()
    assert accuracy.low is not None
    assert accuracy.high is not None
    assert isinstance(truth, float)
    assert accuracy.low < truth < accuracy.high
    assert found.coverage == pytest.approx(1.0, abs=0.01)


def test_errors_are_estimated_from_features_and_predictions() -> None:
    made = priced()
    assessor, _, standard = measured(made, prices(6))
    frame = prices(7).filter(pl.col("x") > 0.5)  # where the errors are larger
    baseline = baseline_of(schema_of(made, frame), frame, "window")
    record = Record.of(frame.height, 0, np.zeros(1), np.zeros(3))
    found = assessor.estimated(standard, record, baseline.grid, baseline.profiles[ALL].sample, 1)

    assert found is not None
    truth = float((frame["y"] - frame["t"]).abs().mean())  # type: ignore[arg-type]
    assert found.metrics["mae"].value == pytest.approx(truth, rel=0.1)
    known = assessor.bench(standard).reference[ALL]["mae"].value
    assert known is not None
    assert truth > 1.2 * known


@pytest.mark.parametrize("odd", [1e78, 1e200])
def test_a_label_too_far_to_be_squared_costs_one_row(odd: float) -> None:
    frame = prices(1)
    far = frame.with_columns(t=pl.when(pl.int_range(pl.len()) == 0).then(odd).otherwise("t"))
    made = priced()
    (assessor, _, standard), (whole, _, usual) = measured(made, far), measured(made, frame)
    bench, without = assessor.bench(standard), whole.bench(usual)

    assert standard.centre == pytest.approx(usual.centre, rel=1e-3)
    assert (bench.reference[ALL]["mae"].n, bench.reference[ALL]["unusable"].value) == (N - 1, 1.0)
    assert bench.reference[ALL]["mae"].value == pytest.approx(without.reference[ALL]["mae"].value, rel=0.01)
    assert bench.loss is not None
    assert without.loss is not None
    assert bench.loss.kurtosis == pytest.approx(without.loss.kurtosis, rel=0.1)


def verdicts(assessor: Assessor, standard: Standard, label: str, accuracy: float) -> dict[str, Verdict]:
    right = round(accuracy * 10_000)
    sums = assessor.bench(standard).measure.sums(
        assessor.vocabulary.scored(
            pl.DataFrame({"prediction": np.ones(10_000), "score": np.linspace(0, 1, 10_000)}),
            (np.arange(10_000) < right).astype(float),
        ),
        np.zeros(10_000, np.int64),
        1,
    )[0]
    found = assessor.realised(standard, Record.of(10_000, 10_000, sums, np.zeros(1)), 1)
    return {v.detector: v for v in assessor.verdicts(standard, (label, REALIZED), found)}


def test_a_segment_is_judged_by_its_own_reference() -> None:
    frame = binary(8).with_columns(
        t=pl.when(pl.col("place") == "south").then(1 - pl.col("y")).otherwise(pl.col("y"))
    )
    assessor, _, standard = measured(model(), frame)  # right in the north, wrong in the south

    assert verdicts(assessor, standard, "place=north", 0.9)["accuracy"].level is Level.BREACH
    assert verdicts(assessor, standard, "place=south", 0.9)["accuracy"].level is Level.OK
    assert verdicts(assessor, standard, ALL, 0.4)["accuracy"].level is Level.BREACH


def test_groups_are_numbers_and_never_an_alarm() -> None:
    assessor, _, standard = measured(model(), binary(9))

    assert verdicts(assessor, standard, "group:place=north", 0.1) == {}


def test_each_basis_answers_its_own_questions() -> None:
    assessor, _, standard = measured(model(), binary(10))
    found = Measured(10_000, 1.0, assessor.bench(standard).reference[ALL])

    realised = {v.detector for v in assessor.verdicts(standard, (ALL, REALIZED), found)}
    estimated = {v.detector for v in assessor.verdicts(standard, (ALL, ESTIMATED), found)}
    assert realised == {"accuracy", "roc_auc"}
    assert estimated == {"estimated_accuracy", "estimated_roc_auc"}


def test_more_groups_and_questions_make_each_interval_stricter() -> None:
    few = Assessor(Plan.of(model()), Vocabulary.of(model()))
    wide = model(performance=Performance(classes=("0", "1")))

    assert few.level(10) == pytest.approx(few.level(1) / 10, rel=0.01)
    assert few.level(1) == Assessor(Plan.of(wide), Vocabulary.of(wide)).level(1)


def test_a_model_of_losses_is_taken_on_when_it_is_fitted() -> None:
    made, frame = priced(), prices(11)
    schema = schema_of(made, frame)
    baseline = baseline_of(schema, frame, "file reference.parquet")
    pending, finish = measured_of(made, schema, frame, baseline)
    state = ModelState("m", labels=Labels(standards=(pending,)))
    assert (pending.pending, pending.loss) == (True, b"")
    assert Standard.load(pending.dump()).pending

    after, changes = with_losses(Joining(Assessor(Plan.of(made), Vocabulary.of(made)), None, finish), state)

    assert after.labels.standards[0].loss_model() is not None
    assert changes == {("standard", "m", "0"): after.labels.standards[0].dump()}
    assert with_losses(Joining(Assessor(Plan.of(made), Vocabulary.of(made)), None, finish), after)[1] == {}
