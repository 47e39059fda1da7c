"""The process that heavy monitors compare in: what it answers, and what becomes of one that dies or hangs."""

import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

import numpy as np
import pytest

from detectors.joint import Asked, Comparison, Joint
from monitor import comparing
from monitor.comparing import Apart, Failure, Here
from monitor.cron import Cron
from tests.programs import eventually

MINUTE = 60 * 10**6
DAY = 24 * 60 * MINUTE
LEAST = 2**31


def rows(shift: float, count: int = 60) -> Joint:
    values = np.random.default_rng(int(shift)).normal(shift, 1.0, (count, 2))
    return Joint(("a", "b"), values, np.empty((count, 0), np.int32))


def asked(comparer: Apart | Here, shift: float = 0.0, count: int = 60) -> Comparison | Failure:
    return comparer.compare(Asked("mmd", rows(0.0), rows(shift, count), 0.01, {}, 1))


def dying(line: Connection, _memory: int) -> None:
    """Answer once, and die of the second question."""
    line.recv()
    line.send(Failure("raised", "the first"))
    line.recv()
    os.kill(os.getpid(), signal.SIGKILL)


def hanging(line: Connection, _memory: int) -> None:
    """Never answer."""
    line.recv()
    time.sleep(600)


def standing_still(_line: Connection, _memory: int) -> None:
    """Read nothing."""
    os.kill(os.getpid(), signal.SIGSTOP)


def stopping_short(line: Connection, _memory: int) -> None:
    """Begin an answer, and never finish it."""
    line.recv()
    os.write(line.fileno(), (1000).to_bytes(4, "big") + b"half")
    time.sleep(600)


def test_the_process_says_what_the_detector_says_and_lives_on_after_it_refused() -> None:
    apart = Apart()
    try:
        refused = asked(apart, count=3)
        found = asked(apart, 3.0)
    finally:
        apart.close()

    assert isinstance(refused, Failure)
    assert refused.reason == "refused"
    assert isinstance(found, Comparison)
    assert found == asked(Here(), 3.0)
    assert found.score > found.threshold


def test_a_fault_of_a_detector_is_an_error_that_quotes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def singular(*_: object) -> Comparison:
        raise np.linalg.LinAlgError("of 123.456")

    monkeypatch.setattr(comparing, "MULTIVARIATE", {"mmd": singular})

    assert asked(Here()) == Failure("raised", "the detector failed: LinAlgError")


def test_a_process_that_dies_fails_and_another_goes_on() -> None:
    apart = Apart(entry=dying)
    try:
        reasons = [found.reason for _ in range(3) if isinstance(found := asked(apart), Failure)]
    finally:
        apart.close()

    assert reasons == ["raised", "died", "raised"]


def test_one_that_hangs_is_ended() -> None:
    found = asked(Apart(seconds=0.4, entry=hanging))

    assert isinstance(found, Failure)
    assert (found.reason, "0.4 s" in found.note) == ("hung", True)


@pytest.mark.parametrize("entry", [standing_still, stopping_short])
def test_one_that_neither_reads_nor_finishes_what_it_says_is_ended(
    entry: Callable[[Connection, int], None],
) -> None:
    apart, found = Apart(seconds=4.0, entry=entry), list[Comparison | Failure]()
    more = 50_000  # rows, more than fit into the line unread
    thread = threading.Thread(target=lambda: found.append(asked(apart, count=more)), daemon=True)
    thread.start()
    eventually(lambda: apart._process is not None and apart._process.is_alive())  # noqa: SLF001
    process = apart._process  # noqa: SLF001 - as above

    thread.join(30)

    apart.close()
    assert found == [Failure("hung", "ended after 4 s; a new process goes on")]
    assert process is not None
    assert process.exitcode == -signal.SIGKILL


def test_one_without_memory_fails() -> None:
    apart = Apart(memory=LEAST)
    try:
        found = apart.compare(
            Asked("mmd", rows(0.0, 50_000), rows(0.0, 50_000), 0.01, {"features": 40_000}, 1)
        )
    finally:
        apart.close()

    assert isinstance(found, Failure)
    assert found.reason == "memory"


def test_closing_ends_what_is_under_way() -> None:
    apart = Apart(entry=hanging)
    found: list[Comparison | Failure] = []
    thread = threading.Thread(target=lambda: found.append(asked(apart)))
    thread.start()
    eventually(lambda: apart._process is not None and apart._process.is_alive())  # noqa: SLF001

    apart.close()
    thread.join(30)

    assert found == [Failure("stopped", "the daemon stops")]


def telling(line: Connection, _memory: int) -> None:
    """Say how many threads it may use."""
    line.recv()
    line.send(Failure("raised", os.environ["OPENBLAS_NUM_THREADS"]))


def test_it_computes_on_one_thread_and_the_daemon_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    apart = Apart(entry=telling)
    try:
        found = asked(apart)
    finally:
        apart.close()

    assert found == Failure("raised", "1")
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_one_that_cannot_be_started_fails_and_is_started_later(monkeypatch: pytest.MonkeyPatch) -> None:
    apart = Apart(entry=telling)
    with monkeypatch.context() as full:
        full.setattr(SpawnProcess, "_Popen", no_room)
        none = asked(apart)
    try:
        after = asked(apart)
    finally:
        apart.close()

    assert isinstance(none, Failure)
    assert none.reason == "died"
    assert after == Failure("raised", "1")


def no_room(*_: object) -> None:
    raise BlockingIOError(11, "no room for another process")


def test_what_ends_a_whole_service_is_for_the_daemon_to_obey() -> None:
    apart = Apart()
    try:
        asked(apart, count=3)
        process = apart._process  # noqa: SLF001 - the one that answered
        assert process is not None
        process.terminate()
        found = asked(apart, 3.0)
        same = apart._process is process  # noqa: SLF001 - as above
    finally:
        apart.close()

    assert isinstance(found, Comparison)
    assert same


@pytest.mark.parametrize(
    ("line", "day"),
    [("0 0 * * 0", 3), ("0 0 * * 7", 3), ("0 0 * * 1-5", 0), ("0 0 * * mon", 4), ("0 0 * * */6", 2)],
)
def test_days_of_the_week_are_those_of_crontab(line: str, day: int) -> None:
    assert Cron(line)(0) == day * DAY  # 1970 began on a Thursday


def test_a_schedule_that_comes_now_comes_now() -> None:
    assert Cron("*/5 * * * *")(5 * MINUTE) == 5 * MINUTE
    assert Cron("*/5 * * * *")(5 * MINUTE + 1) == 10 * MINUTE


@pytest.mark.parametrize(
    "line", ["", "0 3 * *", "61 * * * *", "0 3 1 * 1", "0 3 30 2 *", "@daily", "a b c d e"]
)
def test_what_is_no_schedule_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"has five fields|is not a schedule|names days|never comes"):
        Cron(line)
