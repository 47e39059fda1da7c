"""Every bad line of docs/formats.md among 100,000 good ones: exactly the bad ones are rejected."""

import gzip
import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest

from detectors.profile import NumericSummary, summaries
from monitor.core.state import load_model
from tests.programs import CAR_LOAN, DRIFTD, Project, eventually

pytestmark = pytest.mark.acceptance

MODEL = "car-loan"
LIMIT = 16 * 2**20
CONFIG = f"""
[daemon]
listen = "127.0.0.1:0"
max_line = "16MiB"
{CAR_LOAN}
window = "20d"
columns.score = "y_pred_proba"
features.numeric = ["car_value", "debt_to_income_ratio"]
features.categorical = ["salary_range"]

[[models.sources]]
role = "predictions"
type = "files"
path = "logs/*.jsonl*"

[[models.monitors]]
detector = "ks"
on = "numeric"
"""
GOOD = '"timestamp": "2018-10-30 18:00:00", "y_pred": 1'
BAD: dict[str, list[bytes]] = {
    "bad_json": [
        b"garbage",
        b'{"id": 1, "timestamp": ',
        b'{"id": 2} {"id": 3}',
        b"{'id': 4}",
        b'{"id": 5,}',
        b"\xc3\xa4 no JSON",
        b"<html>",
    ],
    "nul_bytes": [b"\x00" * 4096, b'{"id": 6, "y\x00": 1}'],
    "invalid_utf8": [b'{"id": "\xff\xfe", %s}' % GOOD.encode(), b"\x80\x81"],
    "byte_order_mark": [b'\xef\xbb\xbf{"id": 7, %s}' % GOOD.encode()],
    "not_an_object": [b'[{"id": 8}]', b"null", b'"text"', b"3.5", b"true"],
    "too_deep": [b'{"id": 9, %s, "deep": ' % GOOD.encode() + b"[" * 100_000 + b"]" * 100_000 + b"}"],
    "bad_timestamp": [
        b'{"id": 10, "y_pred": 1}',
        b'{"id": 11, "timestamp": "yesterday", "y_pred": 1}',
        b'{"id": 12, "timestamp": "1970-01-01 00:00:00", "y_pred": 1}',
    ],
    "future_timestamp": [b'{"id": 13, "timestamp": "2150-01-01T00:00:00Z", "y_pred": 1}'],
    "missing_id": [b"{%s}" % GOOD.encode(), b'{"id": null, %s}' % GOOD.encode()],
    "no_prediction": [b'{"id": 14, "timestamp": "2018-10-30 18:00:00"}'],
}
ODD_VALUES = {
    "NaN": "nan",
    "Infinity": "pos_inf",
    "-Infinity": "neg_inf",
    "1e999": "pos_inf",
    "1" + "0" * 30: "above",
    '"1.5"': "below",
    "true": "invalid",
    '"dear"': "invalid",
    "null": "null",
    "{}": "invalid",
}
"""What stands in a numeric column of a good row, and as what it is counted."""


@dataclass
class Log:
    """A log under construction: what the daemon must say of it. expected: (offset, reason, first bytes)."""

    path: Path
    good: int = 0
    size: int = 0
    expected: list[tuple[int, str, bytes]] = field(default_factory=list)

    def write(self, lines: bytes, good: int = 0) -> None:
        with self.path.open("ab") as file:
            file.write(lines)
        self.good += good
        self.size += len(lines)

    def write_bad(self, reason: str, line: bytes) -> None:
        self.expected.append((self.size, reason, line[:1024]))
        self.write(line + b"\n")

    def write_long(self, size: int) -> None:
        """Write a line of so many bytes, piece by piece."""
        self.expected.append((self.size, "line_too_long", b"x" * 1024))
        for _ in range(size // 2**20):
            self.write(b"x" * 2**20)
        self.write(b"\n")


@pytest.fixture(scope="module")
def rows(car_loans: pl.DataFrame) -> list[bytes]:
    log = car_loans.drop("period", "repaid").write_ndjson().encode()
    return log.splitlines(keepends=True)


def spoil(log: Log, rows: list[bytes], *, huge: bool) -> None:
    """Write the good rows with the bad ones evenly between them."""
    bad = [(reason, line) for reason, some in BAD.items() for line in some]
    step = len(rows) // (len(bad) + 1)
    for place, (reason, line) in enumerate(bad):
        part = rows[place * step : (place + 1) * step]
        log.write(b"".join(part), len(part))
        if huge or reason != "too_deep":
            log.write_bad(reason, line)
        log.write(b"\n \t\n\r\n")
        if huge and place == len(bad) // 2:
            log.write_long(200 * 2**20)
    rest = rows[len(bad) * step :]
    log.write(b"".join(line.replace(b"\n", b"\r\n") for line in rest), len(rest))


def odd_rows(rows: list[bytes]) -> Iterator[bytes]:
    """Yield the last rows again, with ids of their own and odd values."""
    for number, value in enumerate(ODD_VALUES):
        row = json.loads(rows[-1 - number])
        text = json.dumps({**row, "id": f"odd-{number}", "car_value": 0})
        yield text.replace('"car_value": 0', f'"car_value": {value}').encode() + b"\n"


def project(folder: Path, car_loans: pl.DataFrame) -> Project:
    folder.mkdir()
    return Project(folder).configure(CONFIG, car_loans.head(50_000).drop("period", "repaid"))


def peak_memory(made: Project) -> int:
    """Run it once and return the most memory that it held, in bytes."""
    command: list[str | Path] = [DRIFTD, "run", "--once", "--config", made.folder / made.config]
    with (made.folder / "output").open("wb") as output:
        process = subprocess.Popen(command, env=made.environment, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, (made.folder / "output").read_text()
    return usage.ru_maxrss * 1024


def found_in(made: Project, log: Log) -> list[tuple[int, str, bytes]]:
    return [
        (found["offset"], found["reason"], found["text"].encode())
        for found in made.rejects(MODEL)
        if found["file"] == str(log.path)
    ]


def readable(expected: list[tuple[int, str, bytes]]) -> list[tuple[int, str, bytes]]:
    """Return what is kept of the bad lines: text, with a mark for what is none."""
    return [(offset, reason, raw.decode(errors="replace").encode()) for offset, reason, raw in expected]


def test_exactly_the_bad_lines_are_rejected(
    tmp_path: Path, car_loans: pl.DataFrame, rows: list[bytes]
) -> None:
    calm, made = project(tmp_path / "calm", car_loans), project(tmp_path / "bad", car_loans)
    plain = Log(calm.folder / "logs" / "predictions.jsonl")
    spoil(plain, rows, huge=False)
    log = Log(made.folder / "logs" / "predictions.jsonl")
    log.write(b"\xef\xbb\xbf")  # at the start of a file it is no fault
    spoil(log, rows, huge=True)
    log.write(b"".join(odd_rows(rows)), len(ODD_VALUES))
    half = rows[-1].replace(b'"id":99999,', b'"id":"half \xe2\x82\xac",')
    cut = half.index(b"\xe2") + 1
    log.write(half[:cut])  # the writer stops in mid-character

    without = peak_memory(calm)
    peak = peak_memory(made)

    assert found_in(made, log) == readable(log.expected)
    assert found_in(calm, plain) == readable(plain.expected)
    assert peak - without < 2 * LIMIT
    events = made.status()["models"][0]["events"]
    assert events == {
        "received": 100_000 + len(ODD_VALUES) + len(log.expected),
        "stored": 100_000 + len(ODD_VALUES),
        "rejected": len(log.expected),
        "duplicate": 0,
        "late": 0,
        "dropped": 0,
    }
    reasons = Counter(reason for _, reason, _ in log.expected)
    assert made.status()["models"][0]["rejected"] == dict(sorted(reasons.items()))

    log.write(half[cut:], 1)
    made.once()

    assert made.status()["models"][0]["events"] == {
        **events,
        "received": events["received"] + 1,
        "stored": log.good,
    }
    assert found_in(made, log) == readable(log.expected)
    check_odd_values(made)
    made.once("--flush")
    firing = made.samples().total("driftd_drift_state", feature="car_value", detector="ks", state="firing")
    assert firing == 1


def check_odd_values(made: Project) -> None:
    """Compare how the odd values were counted with the policy."""
    state = load_model(MODEL, made.entries())
    grid = state.baselines[0].grid
    last = state.windows[max(state.windows, key=lambda key: key.start)]
    found = next(s for s in summaries(grid, last) if s.grid.name == "car_value")
    assert isinstance(found, NumericSummary)
    wanted = Counter(ODD_VALUES.values())
    assert (found.nan, found.pos_inf, found.neg_inf) == (wanted["nan"], wanted["pos_inf"], wanted["neg_inf"])
    assert found.invalid == wanted["invalid"]
    assert found.null == wanted["null"]
    assert found.high == 1e30
    assert found.low == 1.5


def test_compressed_files_neither_flood_the_memory_nor_stop_their_neighbours(
    tmp_path: Path, car_loans: pl.DataFrame, rows: list[bytes]
) -> None:
    calm, made = project(tmp_path / "calm", car_loans), project(tmp_path / "bad", car_loans)
    whole = gzip.compress(b"".join(rows[:10_000]))
    for each in (calm, made):
        (each.folder / "logs" / "a.jsonl.gz").write_bytes(whole)
    bomb = made.folder / "logs" / "b.jsonl.gz"
    with gzip.open(bomb, "wb", compresslevel=1) as file:
        for _ in range(400):
            file.write(b"x" * 2**20)
        file.write(b"\n")
        file.writelines(rows[10_000:15_000])
    torn = made.folder / "logs" / "c.jsonl.gz"
    torn.write_bytes(gzip.compress(b"".join(rows[15_000:20_000]))[:200_000])

    without = peak_memory(calm)
    peak = peak_memory(made)
    with made.start() as daemon:  # a cut file may still be written: it is given up when it stays as it is
        eventually(lambda: daemon.samples().total("driftd_events_rejected_total") == 2)
        assert daemon.stop() == 0

    rejects = {Path(found["file"]).name: (found["offset"], found["reason"]) for found in made.rejects(MODEL)}
    assert rejects["b.jsonl.gz"] == (0, "line_too_long")
    assert rejects["c.jsonl.gz"][1] == "corrupt_compression"
    assert set(rejects) == {"b.jsonl.gz", "c.jsonl.gz"}
    assert peak - without < 2 * LIMIT
    events = made.status()["models"][0]["events"]
    assert events["rejected"] == 2
    assert 15_000 < events["stored"] < 20_000
    assert events["received"] == events["stored"] + 2
