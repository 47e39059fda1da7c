"""What a heavy monitor's episode names: features by the rows that it compared, or an embedding."""

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from detectors.attribution import Attribution, Part
from detectors.joint import Joint
from detectors.moves import moved_rows
from monitor.cli import main
from monitor.core.attributing import document
from monitor.core.episode_log import EpisodeRecord
from monitor.core.joint_ranks import of_rows
from monitor.core.reporting import why
from monitor.core.scenes import Compared
from monitor.core.state import load_model
from monitor.explain_text import explain_lines
from tests.logs import model, plan_of
from tests.programs import committed
from tests.unit.test_explaining import BEGIN

ROWS = 200
"""Rows of an hour."""
HEAVY = ("mmd", "domain_classifier", "pca_reconstruction")
CONFIG = """
[daemon]
state = "state"
[[models]]
name = "m"
task = "regression"
window = "1h"
lateness = "10m"
alarms = { min_rows = 30, keep_firing = 1 }
monitors = [
  { detector = "mmd", threshold = 0.01 },
  { detector = "domain_classifier", threshold = 0.6 },
  { detector = "pca_reconstruction", threshold = 0.5 },
]
[models.columns]
prediction_id = "id"
timestamp = "at"
prediction = "pred"
[models.features]
numeric = ["a", "b", "c", "d", "e"]
categorical = ["colour"]
[models.reference]
path = "reference.parquet"
[[models.sources]]
role = "predictions"
type = "files"
path = "logs/*.jsonl"
"""


def rows(begin: int, hours: int, seed: int, *, turned: bool = False, timed: bool = True) -> pl.DataFrame:
    """Return hours of a log. turned: b goes against a, where else it goes with it; each alone is the same."""
    rng, n = np.random.default_rng(seed), hours * ROWS
    values = rng.normal(size=(n, 5))
    values[:, 3] = (-0.8 if turned else 0.8) * values[:, 4] + 0.6 * values[:, 3]
    at = [BEGIN + timedelta(hours=begin, seconds=3600 / ROWS * i) for i in range(n)]
    names = ("c", "d", "e", "b", "a")  # what turns is not what comes first
    found = pl.DataFrame(
        {
            "id": [f"{seed}-{i}" for i in range(n)],
            "at": pl.Series(at).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"),
            **{name: values[:, i] for i, name in enumerate(names)},
            "colour": rng.choice(["red", "red", "blue"], n),
            "pred": values[:, 0],
        }
    )
    return found if timed else found.drop("at")


@pytest.fixture(scope="module", params=[True, False], ids=["with its windows", "without"])
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project in whose log a and b go together otherwise from the fifth hour on."""
    made = tmp_path_factory.mktemp("turned")
    (made / "logs").mkdir()
    (made / "config.toml").write_text(CONFIG)
    rows(-48, 48, 1, timed=request.param).write_parquet(made / "reference.parquet")
    log = pl.concat([rows(0, 4, 2), rows(4, 3, 3, turned=True)])
    log.write_ndjson(made / "logs" / "a.jsonl")
    ran = CliRunner().invoke(main, ["run", "--once", "--flush", "--config", str(made / "config.toml")])
    assert ran.exit_code == 0, ran.output
    return made


@pytest.fixture(scope="module")
def episodes(project: Path) -> dict[str, EpisodeRecord]:
    found = load_model("m", committed(project / "state")).episodes.values()
    return {record.detector: record for record in found}


@pytest.mark.parametrize("detector", HEAVY)
def test_features_that_turned_against_each_other_are_named(
    project: Path, episodes: dict[str, EpisodeRecord], detector: str
) -> None:
    record = episodes[detector]
    found = record.attribution
    assert found is not None
    assert {part["feature"] for part in found["features"][:2]} == set(found["pair"]) == {"a", "b"}
    assert sum(part["together"] for part in found["features"]) == pytest.approx(1.0, abs=0.01)

    body = json.loads(json.dumps(why(record).document))
    assert {part["feature"] for part in body["features"][:2]} == {"a", "b"}

    args = ["explain", record.id, "--verify", "--config", str(project / "config.toml")]
    told = CliRunner().invoke(main, args)
    assert told.exit_code == 0, told.output
    assert "go together otherwise than in the reference" in told.output
    assert "no feature is further" not in told.output
    assert "verify    equal" in told.output


def joint(rng: np.random.Generator, mean: float, n: int = 400) -> Joint:
    numeric = rng.normal(size=(n, 3))
    numeric[:, 0] += mean
    numeric[: n // 10, 1] = np.nan
    return Joint(("x", "y", "prediction", "colour"), numeric, rng.integers(-1, 3, (n, 1)).astype(np.int32))


def known(ratio: float) -> Attribution:
    parts = Part("y", ratio, 1.0, 1.0, None, 0.1, "usual"), Part("z", 9.0, 0.0, 0.0, None, 0.1)
    return Attribution(parts, None)


def test_only_features_that_were_compared_are_ranked_and_what_is_usual_counts() -> None:
    rng, plan = np.random.default_rng(1), plan_of(model())
    before, after = joint(rng, 0.0), joint(rng, 1.0)

    found = of_rows(plan, known(0.5), Compared(before, after))
    longer = of_rows(plan, known(0.5), Compared(before, after, windows=3))

    assert {part.feature for part in found.parts} == {"x", "y", "colour"}
    assert (found.parts[0].feature, found.agree) == ("x", True)
    assert found.parts[0].together == pytest.approx(1.0, abs=0.05)
    assert {part.what for part in found.parts if part.feature == "y"} == {"usual"}
    assert "usual" not in {part.what for part in longer.parts}


def test_of_many_columns_those_that_only_turned_are_looked_at_too() -> None:
    rng, names = np.random.default_rng(3), tuple(f"f{i:03}" for i in range(120))
    before, after = (rng.normal(size=(600, 120)) for _ in range(2))
    after[:, 119] = after[:, 118] + 0.3 * after[:, 119]
    after[:, 119] /= after[:, 119].std()
    none = np.empty((600, 0), np.int32)
    rows = Compared(Joint(names, before, none), Joint(names, after, none))

    found = of_rows(plan_of(model()), Attribution((), None), rows)

    assert {part.feature for part in found.parts[:2]} == set(found.pair) == {"f118", "f119"}


def test_of_predictions_alone_no_feature_is_named_but_those_known() -> None:
    rows = Joint(("prediction",), np.zeros((50, 1)), np.empty((50, 0), np.int32))
    assert of_rows(plan_of(model()), known(2.0), Compared(rows, rows)) == known(2.0)


def test_an_embedding_is_named_as_a_whole() -> None:
    vectors = Joint.of_vectors("query[0]", np.ones((50, 4), np.float16))
    found = document(of_rows(plan_of(model()), known(2.0), Compared(vectors, vectors)))
    text = told(found)

    assert [part["feature"] for part in found["features"]] == ["query[0]"]
    assert "query[0], 100 % of the change: not judged alone (alone 0 %, together not looked at)" in text


def test_what_was_not_looked_at_is_not_told_as_nothing() -> None:
    text = told(document(known(2.0)))
    assert "y, 100 % of the change: usual by +0.1, 2 times" in text
    assert "together not looked at" in text
    assert "together they were not looked at" in told(document(Attribution(known(0.5).parts[:1], None)))


def told(attribution: dict[str, object]) -> str:
    """Return what a person reads of an episode with such an attribution."""
    nothing = dict.fromkeys(("segment", "version", "performance"))
    why_ = {**attribution, **nothing, "onset": "2026-01-05T00:00:00Z"}
    one = {
        **dict.fromkeys(("version", "ended", "cause", "members", "acknowledged", "retraining")),
        "attribution": why_,
    }
    names = {"id": "ep_1", "state": "firing", "detector": "mmd", "feature": "_joint", "model": "m"}
    more = {"segment": "all", "kind": "drift", "started": "2026-01-05T00:00:00Z"}
    return "\n".join(explain_lines({"episode": {**one, **names, **more}, "record": None, "verified": None}))


@pytest.mark.parametrize("lost", [np.nan, None])
def test_columns_of_rows_say_what_they_show_alone(lost: float | None) -> None:
    rng = np.random.default_rng(2)
    before, after = joint(rng, 0.0), joint(rng, -1.0)
    if lost is not None:
        after.numeric[:, 0] = lost
    found = moved_rows(before, after)["x"]

    assert (found.what, found.ratio > 1.0) == ("distribution" if lost is None else "missing", True)
    assert found.effect == pytest.approx(-1.0 if lost is None else 1.0, abs=0.15)
