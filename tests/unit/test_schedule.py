"""What is done again and again: planned before the start, and while it runs."""

import threading

from monitor.clock import SystemClock
from monitor.schedule import Schedule

PATIENCE = 20.0


def test_what_was_planned_begins_with_the_start_and_the_last_plan_of_a_name_counts() -> None:
    first, second = threading.Event(), threading.Event()
    schedule = Schedule(SystemClock())
    schedule.every(3600, "read", first.set)
    schedule.every(3600, "read", second.set)

    assert not second.wait(0.05)
    schedule.start()
    try:
        assert second.wait(PATIENCE)
        assert not first.is_set()
    finally:
        schedule.close()


def test_what_comes_while_it_runs_begins_at_once_instead_of_what_had_its_name() -> None:
    before, after = threading.Semaphore(0), threading.Semaphore(0)
    schedule = Schedule(SystemClock())
    schedule.start()
    try:
        schedule.every(0.01, "read", before.release)
        assert before.acquire(timeout=PATIENCE)
        schedule.every(0.01, "read", after.release)
        assert after.acquire(timeout=PATIENCE)
        assert after.acquire(timeout=PATIENCE)
    finally:
        schedule.close()


def test_nothing_begins_once_it_is_stopped() -> None:
    done = threading.Semaphore(0)
    schedule = Schedule(SystemClock())
    schedule.every(0.01, "read", done.release)
    schedule.start()
    try:
        assert done.acquire(timeout=PATIENCE)
        schedule.stop()
        under_way = sum(done.acquire(timeout=0.2) for _ in range(5))  # in its interval it would run each time
        assert under_way < 5
        assert not done.acquire(timeout=0.2)
    finally:
        schedule.close()


def test_one_that_never_started_ends_and_has_begun_nothing() -> None:
    done = threading.Event()
    schedule = Schedule(SystemClock())
    schedule.every(0.01, "read", done.set)

    schedule.stop()
    schedule.close()

    assert not done.wait(0.1)
