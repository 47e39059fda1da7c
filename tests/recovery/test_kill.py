"""kill -9 at any instant: in the end the same is stored, byte by byte, as by an undisturbed run.

Some kills come at random moments. The others are aimed: the test watches the state folder and kills when it
has seen a commit begin. Some of these hold the database's lock meanwhile, so that the commit cannot end
before the kill, however busy the machine is. tests/commits.py tells from what is left whether one hit.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path

import polars as pl
import pytest

from tests.commits import Traces, inside_commit
from tests.programs import CAR_LOAN, Daemon, Project, eventually

pytestmark = pytest.mark.acceptance

MODEL = "car-loan"
KILLS, PIECES = 50, 40
LOCKED = 0.5
"""Share of the aimed kills of a daemon that already runs that hold the lock."""
CONFIG = f"""
[daemon]
listen = "127.0.0.1:0"
state = "STATE"
commit_every = "60ms"
max_line = "4KiB"
{CAR_LOAN}
window = "1d"
lateness = "2h"
columns.score = "y_pred_proba"
columns.segments = ["salary_range"]
features.numeric = ["car_value", "debt_to_income_ratio", "loan_length", "driver_tenure"]
features.categorical = ["salary_range", "size_of_downpayment", "repaid_loan_on_prev_car"]

[[models.sources]]
role = "predictions"
type = "files"
path = "logs/predictions.jsonl*"

[[models.monitors]]
detector = "quality"

[[models.monitors]]
detector = "psi"
threshold = 0.2

[[models.monitors]]
detector = "ks"
on = "score"

[[models.retrain]]
webhook = "training"
when = ["drift", "quality"]

[webhooks.training]
url = "http://127.0.0.1:9/"
allow_private = true
secret_env = "KILL_TEST_SECRET"
"""
BAD_LINES = (
    b"garbage",
    b'{"id": 1, "timestamp": ',
    b"[1, 2]",
    b"null",
    b'"text"',
    b"\x00" * 40,
    b'{"id": "\xff\xfe"}',
    b'\xef\xbb\xbf{"id": 7}',
    b'{"id": 8, "timestamp": "2099-01-01 00:00:00", "y_pred": 1}',
    b'{"id": 9, "timestamp": "1970-01-01 00:00:00", "y_pred": 1}',
    b'{"id": null, "timestamp": "2019-01-01 00:00:00", "y_pred": 1}',
    b'{"id": 10, "timestamp": "2019-01-01 00:00:00"}',
    b'{"pad": "' + b"x" * 10_000 + b'"}',
)


def spoiled(lines: list[bytes], rng: random.Random) -> bytes:
    """Return the log with bad lines, duplicates, late rows, blank lines and values of the wrong type."""
    found: list[bytes] = []
    for place, line in enumerate(lines):
        found.append(line)
        drawn = rng.random()
        if drawn < 0.010:
            found.append(rng.choice(BAD_LINES))
        elif drawn < 0.014:
            found.append(lines[max(place - rng.randrange(50), 0)])
        elif drawn < 0.016:
            row = json.loads(lines[max(place - 1_000, 0)])
            found.append(json.dumps({**row, "id": place + 10**6, "car_value": "dear"}).encode())
        elif drawn < 0.026:
            odd = line.replace(b'"driver_tenure":', b'"driver_tenure":NaN,"more":')
            found.append(odd.replace(b'{"id":', b'{"id":9'))
        elif drawn < 0.028:
            found.append(b"\r")
    return b"\n".join(found) + b"\n"


def pieces_of(log: bytes, number: int, rng: random.Random) -> list[bytes]:
    cuts = [0, *sorted(rng.sample(range(1, len(log)), number - 1)), len(log)]
    return [log[start:stop] for start, stop in pairwise(cuts)]


@pytest.fixture
def lines(car_loans: pl.DataFrame) -> list[bytes]:
    return car_loans.slice(50_000).drop("period", "repaid").write_ndjson().encode().splitlines()


@pytest.fixture
def project(tmp_path: Path, car_loans: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("KILL_TEST_SECRET", "whsec_" + "A" * 43 + "=")
    reference = car_loans.head(50_000).drop("period", "repaid")
    return Project(tmp_path).configure(CONFIG.replace("STATE", "state"), reference)


def one_life(project: Project, fresh: bytes, rng: random.Random, *, aimed: bool) -> bool:
    """Start the daemon, let the log grow before or after that, kill it; tell whether inside a commit."""
    before = start = Traces.of(project.state)
    early = rng.random() < 0.5
    if early:
        project.append("predictions.jsonl", fresh)
    with project.start() as daemon:
        if not early:
            daemon.ready()
            start = Traces.of(project.state)
        held = aimed and not early and rng.random() < LOCKED
        with locked(project.state) if held else nullcontext():
            if not early:
                project.append("predictions.jsonl", fresh)
            if aimed:
                wait_for_commit(daemon, project.state, start, 20 if held else 2)
                time.sleep(rng.choice([0, 0, 0, 0, 0.0005, 0.002]))
            else:
                time.sleep(rng.uniform(0, 1.5) * (0.2 if not early else 1))
            daemon.kill()
    return inside_commit(project.state, before, project.folder / "scratch")


HOLD = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(state: Path) -> Iterator[None]:
    """Hold the database's write lock: a commit writes its rejects, and then waits.

    By a process that is killed as well: one that closed the database would tidy it up.
    """
    command = [sys.executable, "-c", HOLD, str(state / "driftd.sqlite")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        try:
            yield
        finally:
            holder.kill()


def wait_for_commit(daemon: Daemon, state: Path, before: Traces, seconds: float) -> None:
    """Wait until a commit has begun, at most so long once it listens: there may be nothing to commit.

    How long it takes to start depends on what else the machine does. How long it takes to commit does too:
    a commit that cannot end is worth the wait.
    """
    deadline, looks = float("inf"), count()
    while time.monotonic() < deadline and Traces.of(state).rejects == before.rejects:
        time.sleep(0.0002)
        if next(looks) % 100:  # what the daemon says is read a hundred times less often
            continue
        if deadline == float("inf") and '"listening"' in daemon.text:
            deadline = time.monotonic() + seconds
        assert daemon.process.poll() is None, daemon.text


def finish(project: Project, received: int) -> None:
    """Let a last daemon read the rest, and end it in peace; close what is still open."""
    with project.start() as daemon:
        eventually(lambda: daemon.samples().total("driftd_events_received_total") >= received)
        assert daemon.stop() == 0
    project.once("--flush")


def undisturbed(project: Project) -> Project:
    """Read the same log at once into a state of its own."""
    calm = replace(project, config="calm.toml", kept="calm")
    calm.configure(CONFIG.replace("STATE", "calm"))
    calm.once("--flush")
    return calm


def rows_in(log: bytes) -> int:
    return sum(line.strip() != b"" for line in log.split(b"\n"))


def rejects_of(project: Project) -> bytes:
    return (project.state / "rejects" / f"{MODEL}.jsonl").read_bytes()


def test_killed_fifty_times_it_ends_as_if_undisturbed(project: Project, lines: list[bytes]) -> None:
    rng = random.Random(20261121)
    log = spoiled(lines, rng)
    left = pieces_of(log, PIECES, rng)
    hits = 0
    for number in range(KILLS):
        wanted = -(-(number + 1) * PIECES // KILLS) - (PIECES - len(left))
        fresh, left = b"".join(left[:wanted]), left[wanted:]
        hits += one_life(project, fresh, rng, aimed=bool(fresh) and number % 2 == 0)
    assert not left
    finish(project, rows_in(log))
    assert hits > 0
    calm = undisturbed(project)
    assert project.metrics() == calm.metrics()
    assert rejects_of(project) == rejects_of(calm)
    events = project.status()["models"][0]["events"]
    assert events["rejected"] > 100
    assert events["duplicate"] > 100
    assert events["late"] > 50
    assert events["received"] == sum(events.values()) - events["received"]
    assert project.samples().total("driftd_drift_episodes_total", detector="unknown_columns") > 0


def rotate(log: Path, *, copy: bool) -> None:
    """Rotate as logrotate does: older files move on, the log is renamed, or copied and cut to nothing."""
    older = sorted(log.parent.glob(f"{log.name}.*"), key=lambda path: int(path.suffix[1:]), reverse=True)
    for path in older:
        path.rename(path.with_suffix(f".{int(path.suffix[1:]) + 1}"))
    if copy:
        shutil.copy2(log, f"{log}.1")
        os.truncate(log, 0)
    else:
        log.rename(f"{log}.1")


def test_a_log_rotated_between_kills_loses_nothing(project: Project, lines: list[bytes]) -> None:
    rng = random.Random(7)
    log = spoiled(lines[:12_000], rng)
    log = log.replace(b'"more":', b'"car_value":')  # where new columns are looked for follows the files
    rows = log.splitlines(keepends=True)
    cuts = [0, *sorted(rng.sample(range(1, len(rows)), 23)), len(rows)]
    left = [b"".join(rows[start:stop]) for start, stop in pairwise(cuts)]
    path = project.folder / "logs" / "predictions.jsonl"
    while left:
        one_life(project, left.pop(0), rng, aimed=rng.random() < 0.5)
        for _ in range(rng.choice([0, 1, 1, 3])):  # while it is down
            rotate(path, copy=rng.random() < 0.4)
            project.append(path.name, left.pop(0) if left else b"")
    finish(project, rows_in(log))

    calm = replace(project, folder=project.folder / "calm")
    calm.folder.mkdir()
    (calm.folder / "reference.parquet").hardlink_to(project.folder / "reference.parquet")
    calm.configure(CONFIG.replace("STATE", "state")).append("predictions.jsonl", log)
    calm.once("--flush")
    assert anonymous(project.metrics()) == anonymous(calm.metrics())
    assert contents(project) == contents(calm)


def anonymous(metrics: str) -> str:
    """Return the metrics less the configuration's hash, which covers the log's place, and truncations."""
    return re.sub(r'config="\w+"|driftd_truncations_total.*', "", metrics)


def contents(project: Project) -> list[tuple[str, str]]:
    return sorted((found["reason"], found["text"]) for found in project.rejects(MODEL))
