"""The log that a model's service writes: nothing lost, nothing torn, and nothing raised into a request."""

import errno
import json
import logging
import math
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl
import pytest

from monitor.client import Log, Vocabulary, refusal, text_numbers
from monitor.client import log as module
from monitor.client.files import Appender
from monitor.client.lines import encode
from monitor.clock import ManualClock
from monitor.decoders.plain import decode
from monitor.types import Chunk, Wanted

ROOT = Path(__file__).parents[2]


def rows(folder: Path, name: str = "predictions") -> list[dict[str, Any]]:
    """Return every row of the folder's files, the oldest file first."""
    files = sorted(folder.glob(f"{name}-*.jsonl"), key=lambda path: (path.stem.count(".") == 0, path.name))
    return [json.loads(line) for path in files for line in path.read_bytes().splitlines()]


def read(line: bytes, numeric: set[str], text: set[str]) -> dict[str, Any]:
    """Return a line as the daemon decodes it."""
    wanted = Wanted(frozenset(numeric), frozenset(text))
    return decode(Chunk("log", 0, line), wanted, "jsonl").frame.row(0, named=True)


class Shy:
    """Is no number, and quotes a value about it."""

    def tolist(self) -> object:
        raise ValueError("secret-123")


@pytest.mark.parametrize(
    ("features", "says"),
    [
        ({"age": 31, "shy": Shy()}, "column shy: ValueError"),
        ({"who": {"secret-123"}}, "column who: TypeError"),
        ({"visits": {("secret-123",): 1}}, "column visits: TypeError"),
        ({"score": "secret-123"}, "features have a column score that the log has itself"),
        ({("secret-123",): 1}, "a column whose name is no text: TypeError"),
        ("secret-123", "the features: AttributeError"),
    ],
)
def test_what_is_said_of_a_row_that_was_not_logged_names_its_column_and_no_value(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, features: Mapping[str, object], says: str
) -> None:
    with caplog.at_level(logging.WARNING), Log(tmp_path) as log:
        log.prediction(score=0.5, features=features)

    assert [record.getMessage() for record in caplog.records] == [f"a row was not logged: {says}"]
    assert log.dropped == 1


def test_importing_the_client_loads_nothing_but_the_standard_library() -> None:
    told = "import sys, monitor.client; print(*{name.split('.')[0] for name in sys.modules})"
    command = [sys.executable, "-S", "-c", told]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()

    assert set(found) - sys.stdlib_module_names == {"__main__", "monitor"}


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (np.float32(1.5), 1.5),
        (np.int64(7), 7.0),
        (Decimal("0.25"), 0.25),
        (math.inf, math.inf),
        (np.float32("-inf"), -math.inf),
        (pl.Series([1]).to_numpy()[0], 1.0),
    ],
)
def test_a_number_is_read_as_it_was(value: object, number: float) -> None:
    assert read(encode({"x": value, "y": 1}), {"x", "y"}, set())["x"] == number


def test_a_number_that_is_none_is_read_as_nan() -> None:
    assert math.isnan(read(encode({"x": np.float64("nan")}), {"x"}, set())["x"])


def test_texts_and_times_are_read_as_they_were() -> None:
    odd = 'a "quoted"\nline é \U0001f600'
    times = {"a": datetime(2026, 1, 2, 3, tzinfo=UTC), "b": np.datetime64("2026-01-02T03:00:00.5", "ns")}
    line = encode({"t": odd, "half": "\ud800", "id": UUID(int=1), "yes": np.True_, **times})

    assert line.count(b"\n") == 1
    found = read(line, set(), {"t", "half", "id", "yes", "a", "b"})
    assert found["t"] == odd
    assert found["id"] == str(UUID(int=1))
    assert found["yes"] == "true"
    assert (found["a"], found["b"]) == ("2026-01-02T03:00:00+00:00", "2026-01-02T03:00:00.500000000")


def test_what_is_not_given_is_now_a_new_id_and_no_column(tmp_path: Path) -> None:
    with Log(tmp_path, clock=ManualClock(datetime(2026, 5, 1, tzinfo=UTC))) as log:
        name = log.prediction(features={"x": np.arange(2)}, score={"gold": 0.9, "basic": 0.1})
        log.outcome(id=name, label=True)

    at = "2026-05-01T00:00:00+00:00"
    assert rows(tmp_path) == [
        {"id": name, "timestamp": at, "score_gold": 0.9, "score_basic": 0.1, "x": [0, 1]}
    ]
    assert rows(tmp_path, "outcomes") == [{"id": name, "timestamp": at, "label": True}]


def test_a_row_that_cannot_be_written_is_counted_and_the_others_are_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    endless: list[object] = []
    endless.append(endless)
    bad: list[Any] = [{"x": object()}, {"x": {1, 2}}, {"x": endless}, {("a", "b"): 1}, {"id": "mine"}, 5]
    with caplog.at_level(logging.WARNING), Log(tmp_path) as log:
        for features in bad:
            log.prediction(features=features)
        log.prediction(id="good")

    assert [row["id"] for row in rows(tmp_path)] == ["good"]
    assert (log.written, log.dropped) == (1, len(bad))
    assert len(caplog.records) == 1


def test_eight_threads_write_each_row_once_and_each_thread_its_rows_in_order(tmp_path: Path) -> None:
    log = Log(tmp_path, rotate=20_000, keep=100)

    def work(thread: int) -> None:
        for row in range(500):
            log.prediction(id=f"{thread}-{row}", features={"x": row})

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.flush()
    log.close()

    assert log.written == 4000
    assert len(list(tmp_path.glob("predictions-0.*.jsonl"))) > 5
    found = [row["id"].split("-") for row in rows(tmp_path)]
    for mine in range(8):
        assert [int(row) for thread, row in found if thread == str(mine)] == list(range(500))


def test_what_waits_is_bounded_while_the_disk_is_full_and_written_when_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    full = True

    def write(file: Appender, lines: memoryview) -> int:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, lines)

    real = Appender.append
    monkeypatch.setattr(Appender, "append", write)
    monkeypatch.setattr(module, "AGAIN", 0.01)
    with caplog.at_level(logging.WARNING), Log(tmp_path, memory=2000) as log:
        for row in range(100):
            log.prediction(id=str(row), timestamp=1_700_000_000, features={"x": 1.0})
        assert not log.flush(0.05)
        assert log.waiting + log.dropped == 100
        kept = log.waiting
        assert 10 < kept < 100
        full = False
        assert log.flush()

    assert [row["id"] for row in rows(tmp_path)] == [str(row) for row in range(kept)]
    assert (log.written, log.dropped) == (kept, 100 - kept)
    assert len([r for r in caplog.records if "No space" in r.getMessage()]) == 1


def test_a_log_that_cannot_be_written_is_closed_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    log = Log(tmp_path / "file" / "folder")
    log.prediction(id="a")
    log.close()
    log.prediction(id="b")
    log.close()

    assert (log.written, log.waiting, log.dropped) == (0, 0, 2)


def test_a_write_that_takes_a_part_of_a_line_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:7]))
    with Log(tmp_path, rotate=50) as log:
        for row in range(5):
            log.prediction(id=str(row), timestamp=0)
        assert log.flush()

    assert [row["id"] for row in rows(tmp_path)] == ["0", "1", "2", "3", "4"]


def test_the_oldest_full_files_go(tmp_path: Path) -> None:
    file = Appender(tmp_path, "predictions", rotate=10, keep=2)
    for row in range(6):
        file.append(memoryview(b'{"row":  %d}\n' % row))
    file.close()

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "predictions-0.0000000004.jsonl",
        "predictions-0.0000000005.jsonl",
        "predictions-0.jsonl",
    ]
    assert [row["row"] for row in rows(tmp_path)] == [3, 4, 5]


def test_a_copy_that_somebody_left_beside_it_stays_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "predictions-0.copy.jsonl").write_text("{}\n")
    with Log(tmp_path, rotate=10, keep=1) as log:
        for name in "abc":
            log.prediction(id=name, timestamp=1)
            assert log.flush()

    assert (log.written, log.dropped) == (3, 0)
    assert (tmp_path / "predictions-0.copy.jsonl").read_text() == "{}\n"


@dataclass
class Table:
    """As features come from pandas: columns and values, but neither true nor false."""

    trouble: Exception | None = None

    def keys(self) -> set[str]:
        return {"age"}

    def __getitem__(self, _column: str) -> int:
        if self.trouble is not None:
            raise self.trouble
        return 31

    def __bool__(self) -> bool:
        raise ValueError("the truth value is ambiguous")


def test_nothing_is_raised_by_what_the_service_hands_in(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        for name, trouble in (("a", None), ("b", RuntimeError("changed during iteration"))):
            features: Any = Table(trouble)
            log.prediction(id=name, timestamp=1, features=features)

    assert rows(tmp_path) == [{"id": "a", "timestamp": 1, "age": 31}]
    assert (log.written, log.dropped) == (1, 1)


def test_each_log_has_a_file_and_the_next_one_goes_on_with_one_that_is_free(tmp_path: Path) -> None:
    first, second = Log(tmp_path), Log(tmp_path)
    for name, log in (("a", first), ("b", second)):
        log.prediction(id=name)
        assert log.flush()
    first.close()
    os.truncate(tmp_path / "predictions-0.jsonl", (tmp_path / "predictions-0.jsonl").stat().st_size - 2)
    with Log(tmp_path) as third:
        third.prediction(id="c")
    second.close()

    torn, line = (tmp_path / "predictions-0.jsonl").read_text().splitlines()
    assert torn.startswith('{"id":"a"')
    assert not torn.endswith("}")
    assert json.loads(line)["id"] == "c"
    assert json.loads((tmp_path / "predictions-1.jsonl").read_text())["id"] == "b"


def test_a_file_that_somebody_else_renamed_is_left_to_them(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        log.prediction(id="a")
        assert log.flush()
        (tmp_path / "predictions-0.jsonl").rename(tmp_path / "predictions-0.jsonl.1")
        log.prediction(id="b")

    assert json.loads((tmp_path / "predictions-0.jsonl").read_text())["id"] == "b"


def test_unknown_words_are_counted_against_a_saved_vocabulary(tmp_path: Path) -> None:
    learnt = Vocabulary.learn(["my card is lost", "my card is here", "once"])
    learnt.save(tmp_path / "words")
    known = Vocabulary.load(tmp_path / "words")

    assert known == learnt
    assert b"card" not in (tmp_path / "words").read_bytes()
    numbers = text_numbers("My CARD is geklaut", known)
    assert numbers == {"characters": 18, "words": 4, "non_ascii": 0.0, "out_of_vocabulary": 0.25}
    assert text_numbers("", known) == {"characters": 0, "words": 0, "non_ascii": 0.0}


def test_another_file_is_no_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("my\ncard\n")

    with pytest.raises(ValueError, match=r"words is no vocabulary of driftd"):
        Vocabulary.load(tmp_path / "words")


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        ("I\u2019m sorry, but that is not possible.", True),
        ("I cannot help with this request.", True),
        ("Sure: the card arrives in 3 days. I am not able to say more.", False),
        ("The bank can't do it.", False),
    ],
)
def test_a_refusal_is_told_by_how_the_answer_begins(answer: str, *, refused: bool) -> None:
    assert refusal(answer, (r"^I(?:'m sorry| cannot)",)) is refused


FULL = """
import resource, sys
from monitor.client import Log

_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, most))
log = Log(sys.argv[1])
for row in range(300):
    log.prediction(id=str(row), timestamp=0)
print(log.flush(0.3))
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
print(log.flush(), log.written, log.dropped)
"""


def test_a_disk_that_is_full_in_the_middle_of_a_line_tears_none(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)

    assert ended.stdout.split("\n")[:2] == ["False", "True 300 0"]
    assert [row["id"] for row in rows(tmp_path)] == [str(row) for row in range(300)]
