"""Episodes explained: one for one cause, what moved and why, and verdicts that come out of their records."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from monitor.cli import main
from monitor.core.decomposing import says
from monitor.core.policy import Phase
from monitor.core.records import AuditRecord
from monitor.core.reporting import why
from monitor.core.retrain import ClosedWindow, Firing, Rule, body
from monitor.core.state import ModelState, load_model
from monitor.core.verifying import UNEQUAL, verify
from monitor.types import EntryKey
from tests.audits import altered, records, unequal
from tests.json_schema import faults
from tests.programs import committed

Names = tuple[str, ...]
SCHEMA = Path(__file__).parents[2] / "docs" / "webhook.schema.json"
BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
ROWS = 80
"""Rows of an hour."""
CRM = tuple(f"crm{i}" for i in range(4))
LAKE = tuple(f"lake{i}" for i in range(4))
"""Features that have one source too, of which the configuration does not know."""
CONFIG = """
[daemon]
state = "state"
[[models]]
name = "m"
task = "binary"
window = "1h"
lateness = "10m"
label_horizon = "3h"
upstream = { crm = ["crm0", "crm1", "crm2", "crm3"] }
alarms = { min_rows = 30 }
monitors = [
  { detector = "quality" }, { detector = "shift" }, { detector = "ks", on = "numeric" }, { detector = "js" },
  { detector = "psi", on = ["x"], threshold = 0.2 }, { detector = "evidence" },
  { detector = "accuracy" }, { detector = "estimated_accuracy" }, { detector = "e_sr", on = "error" },
  { detector = "e_quality" }, { detector = "label_shift" },
]
[models.columns]
prediction_id = "id"
timestamp = "at"
prediction = "pred"
score = "p"
label = "label"
segments = ["region"]
[models.reference]
path = "reference.parquet"
[[models.sources]]
role = "both"
type = "files"
path = "logs/*.jsonl"
"""


def rows(begin: int, hours: int, seed: int, gone: Names = (), *, turned: bool = False) -> pl.DataFrame:
    """Return hours of a log. gone: columns that half of the rows lack. turned: labels mean the opposite."""
    rng, n = np.random.default_rng(seed), hours * ROWS
    at = [BEGIN + timedelta(hours=begin, seconds=3600 / ROWS * i) for i in range(n)]
    x, lost = rng.normal(size=n), rng.random(n) < 0.5
    p = 1.0 / (1.0 + np.exp(-2.0 * x))
    label = (rng.random(n) < p) != turned
    more = {name: rng.normal(size=n) for name in (*CRM, *LAKE)}
    filled = {name: pl.Series(np.where(lost & (name in gone), np.nan, v)) for name, v in more.items()}
    return pl.DataFrame(
        {
            "id": [f"{seed}-{i}" for i in range(n)],
            "at": pl.Series(at).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"),
            "x": x,
            "y": rng.normal(size=n),
            "colour": rng.choice(["red", "red", "blue"], n),
            "region": rng.choice(["a", "b"], n),
            "p": p,
            "pred": (p > 0.5).astype(np.int64),
            "label": label.astype(np.int64),
            **{name: column.fill_nan(None) for name, column in filled.items()},
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose log lost its crm for some hours, and then the meaning of its inputs."""
    made = tmp_path_factory.mktemp("explained")
    (made / "logs").mkdir()
    (made / "config.toml").write_text(CONFIG)
    rows(-24 * 9, 24 * 9, 1).write_parquet(made / "reference.parquet")
    moved = pl.when(pl.col("region") == "a").then(pl.col("x") + 2.0).otherwise("x").alias("x")
    parts = [rows(0, 4, 2), rows(4, 3, 3, CRM), rows(7, 1, 7, LAKE[:3]), rows(8, 4, 4, LAKE)]
    parts += [rows(12, 6, 5, turned=True), rows(18, 3, 6).with_columns(moved)]
    pl.concat(parts).write_ndjson(made / "logs" / "a.jsonl")
    ran = CliRunner().invoke(main, ["run", "--once", "--flush", "--config", str(made / "config.toml")])
    assert ran.exit_code == 0, ran.output
    return made


@pytest.fixture(scope="module")
def entries(folder: Path) -> dict[EntryKey, bytes]:
    return committed(folder / "state")


@pytest.fixture(scope="module")
def state(entries: dict[EntryKey, bytes]) -> ModelState:
    return load_model("m", entries)


def named(state: ModelState, detector: str, feature: str = "_all") -> Mapping[str, Any]:
    """Return what the first episode of a monitor is attributed to."""
    found = [r for r in state.episodes.values() if (r.feature, r.detector) == (feature, detector)]
    first = min(found, key=lambda record: record.started)
    assert first.attribution is not None
    return first.attribution


def test_every_verdict_comes_out_of_its_record_again(entries: dict[EntryKey, bytes]) -> None:
    ways = {record.head["how"] for record in records(entries).values()}
    assert ways >= {"windows", "distance", "realised", "gathered", "stream"}
    assert unequal(entries) == {}


def test_a_failure_upstream_is_one_episode_that_names_its_source(state: ModelState) -> None:
    record, _ = sorted((r for r in state.episodes.values() if r.cause), key=lambda r: r.started)
    assert record.cause == "4 features of upstream group crm missing at once: crm0, crm1, crm2, crm3"
    assert {member[1] for member in record.members} >= set(CRM)
    assert {member[0] for member in record.members} == {"all", "region=a", "region=b"}
    of_crm = [r for r in state.episodes.values() if r.feature in CRM and r.detector == "null_share"]
    assert of_crm == []
    fired = {
        key.feature for key, trip in state.trips.items() if trip.episodes and key.detector == "null_share"
    }
    assert fired == {*CRM, *LAKE}


def test_what_fails_on_the_same_rows_is_one_episode_and_what_follows_joins_it(state: ModelState) -> None:
    _, record = sorted((r for r in state.episodes.values() if r.cause), key=lambda r: r.started)
    assert record.cause == "4 features missing at once on the same rows: lake0, lake1, lake2, lake3"
    started = min(r.started for r in state.episodes.values() if r.cause)
    assert record.started == started + 3 * 3600 * 10**6
    assert {key.feature for key in record.keys} >= set(LAKE)
    of_lake = [r for r in state.episodes.values() if r.feature in LAKE and r.detector == "null_share"]
    assert of_lake == []


def test_a_concept_that_turns_is_a_changed_relation(state: ModelState) -> None:
    found = named(state, "accuracy")
    parts = found["performance"]
    assert parts["says"] == "relation changed"
    assert parts["relation"] > 0.3 > abs(parts["inputs"])
    assert {one["says"] for one in parts["segments"]} == {"relation changed"}
    assert found["onset"] == "2026-01-05T12:00:00Z"


def test_a_feature_that_moved_is_first_with_where_and_since_when(state: ModelState) -> None:
    found = named(state, "shift", "x")
    first = found["features"][0]
    assert (first["feature"], found["agree"]) == ("x", True)
    assert first["effect"] == pytest.approx(1.0, abs=0.4)
    assert found["segment"]["label"] == "region=a"
    assert found["onset"] == "2026-01-05T18:00:00Z"


def test_the_webhooks_body_tells_it_in_its_form(state: ModelState) -> None:
    firing = [
        Firing(r.kind, r.detector, r.feature, r.segment, r.version, r.score, r.threshold, r.id, why(r))
        for r in sorted(state.episodes.values(), key=lambda r: r.kind != "performance")
    ]
    text = body(Rule("m", "hook", frozenset(), 0, 2), firing, ClosedWindow(0, 1, "hash"))
    told = json.loads(text)
    assert faults(json.loads(SCHEMA.read_text()), told) == []
    assert {one["change"] for one in told["data"]["episodes"]} >= {"relation changed", None}


def test_open_episodes_are_what_fires(state: ModelState) -> None:
    open_ = {t.episode for t in state.trips.values() if t.phase is Phase.FIRING}
    assert open_ == {record.id for record in state.episodes.values() if record.ended is None}


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.booleans())
def test_one_altered_number_is_found(entries: dict[EntryKey, bytes], seed: int, in_rows: bool) -> None:  # noqa: FBT001
    ways = sorted({record.head["how"]: record for record in records(entries).values()}.items())
    _, record = ways[seed % len(ways)]

    if in_rows and record.files:
        name = sorted(record.files)[seed % len(record.files)]
        content = bytearray(record.files[name])
        content[seed % len(content)] ^= 1
        found = replace(record, files={**record.files, name: bytes(content)})
    else:
        try:
            found = AuditRecord.read(altered(record.document(), seed)).with_files(by_hash(record))
        except (ValueError, TypeError, AttributeError):
            return  # it is refused
    assert verify(found).says == UNEQUAL


def by_hash(record: AuditRecord) -> Callable[[str], bytes | None]:
    return {hash_: record.files[name] for name, (hash_, _) in record.hashes.items()}.get


@pytest.mark.parametrize("how", ["windows", "distance", "realised"])
def test_an_altered_histogram_that_is_sealed_anew_gives_another_verdict(
    entries: dict[EntryKey, bytes], how: str
) -> None:
    record = next(r for r in records(entries).values() if r.head["how"] == how)
    name = "window" if how != "realised" else "window/values"
    other = record.arrays[name].copy()
    other.flat[int(np.flatnonzero(other)[0])] += 5
    found = verify(AuditRecord.of(record.head, {**record.arrays, name: other}))
    assert found.sealed
    assert found.says == UNEQUAL


def explain(*args: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["explain", *args])
    return done.exit_code, done.output


def test_the_command_says_it_and_verifies_it_without_the_state(
    folder: Path, state: ModelState, tmp_path: Path
) -> None:
    id_ = next(r.id for r in state.episodes.values() if r.detector == "accuracy")
    config = ("--config", str(folder / "config.toml"))
    code, text = explain(id_, "--verify", *config)
    assert code == 0
    assert "relation changed: accuracy was" in text
    assert "verify    equal: score" in text

    file = tmp_path / "episode.json"
    file.write_text(explain(id_, "--json", *config)[1])
    assert explain("--record", str(file), "--verify")[0] == 0
    document = json.loads(file.read_text())
    document["record"]["arrays"]["window/values"]["values"][0] += 1
    file.write_text(json.dumps(document))
    code, text = explain("--record", str(file), "--verify")
    assert code == 1
    assert "NOT EQUAL: the record has changed since it was written" in text


def test_rows_are_handed_over_apart_and_needed_to_compute_all_of_it(
    folder: Path, state: ModelState, tmp_path: Path
) -> None:
    id_ = next(r.id for r in state.episodes.values() if r.detector == "e_sr")
    file, rows = tmp_path / "episode.json", tmp_path / "rows"
    file.write_text(explain(id_, "--json", "--rows", str(rows), "--config", str(folder / "config.toml"))[1])

    whole = explain("--record", str(file), "--rows", str(rows), "--verify")
    alone = explain("--record", str(file), "--verify")
    for one in rows.iterdir():
        one.write_bytes(one.read_bytes()[:-1] + b"?")
    forged = explain("--record", str(file), "--rows", str(rows), "--verify")

    assert (whole[0], alone[0], forged[0]) == (0, 3, 1)
    assert "verify    equal: score" in whole[1]
    assert "verify    partly: score" in alone[1]
    assert "score and threshold are taken as recorded" in alone[1]
    assert "NOT EQUAL: the record has changed since it was written" in forged[1]
    assert {one.stat().st_mode & 0o777 for one in rows.iterdir()} == {0o600}


PART = '{"head": {"format": 1}, "arrays": {}, "seal": ""}'


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", '{"record": {}}', '{"head": 1, "seal": "", "arrays": {}}'),
        *(PART, f'{{"episode": {{"id": "ep"}}, "record": {PART}}}'),
    ],
)
def test_what_is_no_record_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "other.json"
    file.write_text(text)
    code, said = explain("--record", str(file))
    assert code == 1
    assert said.count("\n") == 1
    assert "cannot be read as an audit record" in said


def test_the_reason_is_what_makes_most_of_the_loss() -> None:
    assert says(0.05, 0.05) == "both"
    assert says(0.0, 0.0) is None
    assert says(None, 0.1) is None
