"""kill -9 at any instant: what is stored in the end equals an undisturbed run over the same log, byte by byte.

Half of the kills come at random moments. The other half are aimed: the test watches the state folder, and
kills when a commit has been seen to begin. A commit writes its rejects first and then the database, so a
kill was inside a commit when what it left behind says so: rejected lines that the database does not know,
or transactions in the write-ahead log that have no end.
"""

import json
import random
import re
import shutil
import sqlite3
import struct
import time
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest

from tests.programs import Daemon, Project, eventually

pytestmark = pytest.mark.acceptance

MODEL = "car-loan"
KILLS, PIECES = 50, 40
CONFIG = f"""
[daemon]
listen = "127.0.0.1:0"
state = "STATE"
commit_every = "60ms"
max_line = "4KiB"

[[models]]
name = "{MODEL}"
task = "binary"
window = "1d"
lateness = "2h"

[models.columns]
prediction_id = "id"
timestamp = "timestamp"
prediction = "y_pred"
score = "y_pred_proba"
segments = ["salary_range"]

[models.features]
numeric = ["car_value", "debt_to_income_ratio", "loan_length", "driver_tenure"]
categorical = ["salary_range", "size_of_downpayment", "repaid_loan_on_prev_car"]

[models.reference]
path = "reference.parquet"

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
        elif drawn < 0.018:
            found.append(line.replace(b'"driver_tenure":', b'"driver_tenure":NaN,"driver_tenure":'))
        elif drawn < 0.020:
            found.append(b"\r")
    return b"\n".join(found) + b"\n"


def pieces_of(log: bytes, count: int, rng: random.Random) -> list[bytes]:
    cuts = [0, *sorted(rng.sample(range(1, len(log)), count - 1)), len(log)]
    return [log[a:b] for a, b in zip(cuts, cuts[1:], strict=False)]


@pytest.fixture
def lines(data: Path) -> list[bytes]:
    frame = pl.read_parquet(data / "car_loan" / "car_loan_synthetic.parquet").slice(50_000)
    return frame.drop("period", "repaid").write_ndjson().encode().splitlines()


@pytest.fixture
def project(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("KILL_TEST_SECRET", "whsec_" + "A" * 43 + "=")
    frame = pl.read_parquet(data / "car_loan" / "car_loan_synthetic.parquet").head(50_000)
    frame.drop("period", "repaid").write_parquet(tmp_path / "reference.parquet")
    return Project(tmp_path).configure(CONFIG.replace("STATE", "state"))


@dataclass(frozen=True, slots=True)
class Traces:
    """What a commit leaves in the state folder: how long the rejects are, and the write-ahead log is, and when."""

    rejects: tuple[int, int]
    log: tuple[int, int]

    @classmethod
    def of(cls, state: Path) -> "Traces":
        return cls(_stat(state / "rejects" / f"{MODEL}.jsonl"), _stat(state / "driftd.sqlite-wal"))


def _stat(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def inside_commit(state: Path, before: Traces, scratch: Path) -> bool:
    """Tell whether the process that ran since `before`, now dead, was inside a commit."""
    now = Traces.of(state)
    unknown = now.rejects != before.rejects and now.rejects[0] > committed_rejects(state, scratch)
    print(unknown, (now.log != before.log and is_torn(state / 'driftd.sqlite-wal')))
    return unknown or (now.log != before.log and is_torn(state / "driftd.sqlite-wal"))


def committed_rejects(state: Path, scratch: Path) -> int:
    """Read from a copy of the database how long the rejects file is to be: opening the original repairs it."""
    scratch.mkdir(exist_ok=True)
    for name in ("driftd.sqlite", "driftd.sqlite-wal"):
        (scratch / name).write_bytes((state / name).read_bytes() if (state / name).exists() else b"")
    db = sqlite3.connect(scratch / "driftd.sqlite")
    try:
        rows = db.execute("SELECT value FROM entries WHERE space = 'rejects'").fetchall()
    except sqlite3.OperationalError:
        return 0
    finally:
        db.close()
        shutil.rmtree(scratch)
    return int(json.loads(rows[0][0])[0]) if rows else 0


def is_torn(log: Path) -> bool:
    """Tell whether valid frames follow the last one that ends a transaction (sqlite.org/fileformat2.html).

    A frame's head is page, database size (0 except at the end of a transaction), the log's two salts, and
    a checksum that continues the one of the frame before it. What remains of an earlier torn transaction
    behind a newer end does not continue its checksum.
    """
    data = log.read_bytes()
    size = int.from_bytes(data[8:12], "big")
    frames = [data[at : at + 24 + size] for at in range(32, len(data) - size - 23, 24 + size)]
    frames = [frame for frame in frames if frame[8:16] == data[16:24]]
    ends = [place for place, frame in enumerate(frames) if frame[4:8] != bytes(4)]
    following = ends[-1] + 1 if ends else 0
    if following >= len(frames):
        return False
    start = frames[following - 1][16:24] if following else data[24:32]
    order = ">" if data[3] & 1 else "<"
    return checksum(start, frames[following], order) == frames[following][16:24]


def checksum(start: bytes, frame: bytes, order: str) -> bytes:
    """Continue SQLite's checksum over a frame: its head's first 8 bytes and its page."""
    one, two = struct.unpack(">2I", start)
    words = struct.unpack(f"{order}{(len(frame) - 16) // 4}I", frame[:8] + frame[24:])
    for x, y in zip(words[::2], words[1::2], strict=True):
        one = (one + x + two) & 0xFFFFFFFF
        two = (two + y + one) & 0xFFFFFFFF
    return struct.pack(">2I", one, two)


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
            project.append("predictions.jsonl", fresh)
        if aimed:
            wait_for_commit(project.state, start, rng)
        else:
            time.sleep(rng.uniform(0, 1.5) * (0.2 if not early else 1))
        daemon.kill()
    return inside_commit(project.state, before, project.folder / "scratch")


def wait_for_commit(state: Path, before: Traces, rng: random.Random) -> None:
    """Wait until a commit has begun, and at most a few seconds: there may be nothing to commit."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline and Traces.of(state).rejects == before.rejects:
        time.sleep(0.0002)
    time.sleep(rng.choice([0, 0, 0, 0.0005, 0.001, 0.003]))


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


def rejects_of(project: Project) -> bytes:
    return (project.state / "rejects" / f"{MODEL}.jsonl").read_bytes()


@pytest.mark.parametrize("seed", [20261121])
def test_killed_fifty_times_it_ends_as_if_undisturbed(
    project: Project, lines: list[bytes], seed: int
) -> None:
    rng = random.Random(seed)
    log = spoiled(lines, rng)
    left = pieces_of(log, PIECES, rng)
    hits = 0
    for number in range(KILLS):
        wanted = -(-(number + 1) * PIECES // KILLS) - (PIECES - len(left))
        fresh, left = b"".join(left[:wanted]), left[wanted:]
        t = time.monotonic()
        hits += one_life(project, fresh, rng, aimed=bool(fresh) and number % 2 == 0)
        print(number, len(fresh), hits, round(time.monotonic() - t, 2))
    assert not left
    finish(project, len([line for line in log.splitlines() if line]))
    print('HITS', hits)
    assert hits >= 5
    calm = undisturbed(project)
    assert project.metrics() == calm.metrics()
    assert rejects_of(project) == rejects_of(calm)
    events = project.status()["models"][0]["events"]
    assert events["rejected"] > 100
    assert events["duplicate"] > 100
    assert events["late"] > 50
    assert events["received"] == sum(events.values()) - events["received"]
