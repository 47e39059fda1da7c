"""kill -9 while predictions and outcomes are read, kept and joined: in the end all is as if undisturbed.

Kills come at random moments, or are aimed: the test watches the folder of the rows that wait and kills when a
new file is there that its commit has yet to name.
"""

import json
import random
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from monitor.store.segments import BESIDE, Note
from tests.commits import Traces, inside_commit
from tests.programs import CAR_LOAN, Project, eventually

pytestmark = pytest.mark.acceptance

MODEL = "car-loan"
KILLS, PIECES, ROWS = 24, 20, 30_000
CONFIG = f"""
[daemon]
listen = "127.0.0.1:0"
state = "STATE"
commit_every = "60ms"
{CAR_LOAN}
window = "30d"
lateness = "1h"
label_horizon = "30d"
columns.score = "y_pred_proba"
columns.label = "repaid"
columns.segments = ["salary_range"]
columns.groups = ["size_of_downpayment"]
features.numeric = ["car_value", "debt_to_income_ratio"]

[[models.sources]]
role = "predictions"
type = "files"
path = "logs/predictions.jsonl"

[[models.sources]]
role = "outcomes"
type = "files"
path = "logs/outcomes.jsonl"
""" + "".join(
    f"\n[[models.monitors]]\ndetector = {name}\n"
    for name in (
        '"quality"',
        '"wasserstein"\non = "numeric"',
        '"accuracy"',
        '"estimated_accuracy"',
        '"e_sr"',
        '"e_sr"\non = "score"\nparameters = { side = "both" }',
        '"adwin"\non = ["car_value"]',
        '"hddm_a"',
    )
)
SPOILED = b'{"id": 1, "timestamp": \n[1, 2]\n'
JOINED = ("labels", "record", "history", "trip", "book", "stream")
"""Spaces of the store that must be the same, byte by byte; how rows wait follows the batches."""


@pytest.fixture
def project(tmp_path: Path, car_loans: pl.DataFrame) -> Project:
    reference = car_loans.head(20_000).drop("period")
    return Project(tmp_path).configure(CONFIG.replace("STATE", "state"), reference)


def outcomes(loans: pl.DataFrame) -> pl.DataFrame:
    """Return outcomes after 1 to 20 days, by their time: some contradicted, some unknown, some never."""
    rng = np.random.default_rng(1)
    seconds = pl.lit(pl.Series(rng.uniform(1, 20, len(loans)) * 86_400))
    known = loans.select("id", pl.col("timestamp") + pl.duration(seconds=seconds), "repaid")
    again = known.sample(fraction=0.05, seed=2).with_columns(
        pl.col("timestamp") + timedelta(days=2), repaid=1 - pl.col("repaid")
    )
    unknown = known.sample(fraction=0.02, seed=3).with_columns(pl.col("id") + 10**7)
    return pl.concat([known.sample(fraction=0.97, seed=4), again, unknown]).sort("timestamp")


def pieces(loans: pl.DataFrame) -> Iterator[tuple[bytes, bytes]]:
    """Yield what both logs gain in the same stretches of time: outcomes, predictions."""
    made, known = loans.sort("timestamp").drop("repaid"), outcomes(loans)
    ends = made["timestamp"].gather_every(len(made) // PIECES + 1)[1:]
    cuts = [[0, *log["timestamp"].search_sorted(ends, "left").to_list(), len(log)] for log in (known, made)]
    for (start, stop), (begin, end) in zip(*map(pairwise, cuts), strict=True):
        predictions = made[begin:end].write_ndjson().encode()
        yield known[start:stop].write_ndjson().encode(), predictions + SPOILED


def append(project: Project, piece: tuple[bytes, bytes]) -> None:
    """Let both logs grow; an outcome is written before the predictions that are newer than it."""
    project.append("outcomes.jsonl", piece[0])
    project.append("predictions.jsonl", piece[1])


def one_life(project: Project, piece: tuple[bytes, bytes], rng: random.Random, *, aimed: bool) -> bool:
    """Start the daemon, let the logs grow before or after that, kill it; tell whether inside a commit."""
    before = Traces.of(project.state)
    early = rng.random() < 0.5
    if early:
        append(project, piece)
    with project.start() as daemon:
        if not early:
            daemon.ready()
            append(project, piece)
        if aimed:
            wait_for_file(project)
        else:
            time.sleep(rng.uniform(0, 1.5) * (1 if early else 0.2))
        daemon.kill()
    inside = inside_commit(project.state, before, project.folder / "scratch")
    return inside or bool(unnamed(project))


def wait_for_file(project: Project) -> None:
    """Wait until rows that wait are written, and at most a few seconds: there may be none."""
    seen, deadline = files(project), time.monotonic() + 2
    while time.monotonic() < deadline and not files(project) - seen:
        time.sleep(0.0002)


def files(project: Project) -> set[str]:
    folder = project.state / "segments" / MODEL
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def unnamed(project: Project) -> set[str]:
    """Return the files that a commit left behind which did not end."""
    return files(project) - {Note.load(v).file for v in entries(project).values() if v.startswith(BESIDE)}


def entries(project: Project) -> dict[tuple[str, str], bytes]:
    """Read the store from a copy: opening it itself would repair it."""
    scratch = project.folder / "copy"
    scratch.mkdir(exist_ok=True)
    for path in project.state.glob("driftd.sqlite*"):
        (scratch / path.name).write_bytes(path.read_bytes())
    db = sqlite3.connect(scratch / "driftd.sqlite")
    try:
        return {(s, k): v for s, k, v in db.execute("SELECT space, key, value FROM entries")}
    except sqlite3.OperationalError:
        return {}
    finally:
        db.close()
        for path in scratch.iterdir():
            path.unlink()


def test_killed_while_joining_it_ends_as_if_undisturbed(project: Project, car_loans: pl.DataFrame) -> None:
    rng = random.Random(20261121)
    left = list(pieces(car_loans.drop("period").slice(50_000, ROWS)))
    hits = 0
    for number in range(KILLS):
        piece = left.pop(0) if left else (b"", b"")
        hits += one_life(project, piece, rng, aimed=number % 2 == 0)
    assert not left
    assert hits > 0
    finish(project)

    calm = replace(project, config="calm.toml", kept="calm")
    calm.configure(CONFIG.replace("STATE", "calm")).once("--flush")
    assert project.metrics() == calm.metrics()
    ours, theirs = (
        {key: value for key, value in entries(one).items() if key[0] in JOINED} for one in (project, calm)
    )
    assert ours == theirs
    assert_all_met(ours)
    assert {json.loads(key)[2] for space, key in ours if space == "stream"} == {"e_sr", "adwin", "hddm_a"}
    assert unnamed(project) == set()


def finish(project: Project) -> None:
    """Let a last daemon read the rest, end it in peace, and close what is still open."""
    with project.start() as daemon:
        rows = sum(len((project.folder / "logs" / name).read_bytes().splitlines()) for name in LOGS)
        eventually(lambda: daemon.samples().total("driftd_events_received_total") >= rows)
        assert daemon.stop() == 0
    project.once("--flush")


LOGS = ("predictions.jsonl", "outcomes.jsonl")


def assert_all_met(found: dict[tuple[str, str], bytes]) -> None:
    """Every kind of outcome was there, and most of the predictions have theirs."""
    counts = json.loads(found["labels", ""])["counts"]
    assert counts["joined"] == pytest.approx(0.97 * ROWS, rel=0.01)
    assert counts["conflicting"] > 0.04 * ROWS
    assert counts["orphaned"] > 0
    assert counts["expired"] > 0
