"""What is done again and again, on threads of its own."""

from collections.abc import Callable
from datetime import UTC

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from monitor.clock import Clock

THREADS = 6
"""Heavy monitors keep one for each lane."""


class Schedule:
    """Jobs by name. Each runs at most once at a time; what it missed meanwhile it does once, not often."""

    def __init__(self, clock: Clock) -> None:
        defaults = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        self._clock = clock
        self._jobs = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(THREADS)}, job_defaults=defaults, timezone=UTC
        )

    def every(self, seconds: float, name: str, work: Callable[[], None]) -> None:
        """Do the work now and every so many seconds, instead of what had this name."""
        now = self._clock.now()
        self._jobs.add_job(
            work, "interval", seconds=seconds, id=name, replace_existing=True, next_run_time=now
        )

    def start(self) -> None:
        """Begin."""
        self._jobs.start()

    def stop(self) -> None:
        """Begin nothing more; what is under way goes on."""
        self._jobs.remove_all_jobs()

    def close(self) -> None:
        """End, without waiting for what is under way."""
        self._jobs.shutdown(wait=False)
