"""What is done again and again, on threads of its own."""

import threading
from collections.abc import Callable
from datetime import UTC
from typing import TYPE_CHECKING

from monitor.clock import Clock

if TYPE_CHECKING:
    from apscheduler.schedulers.background import BackgroundScheduler

Work = Callable[[], None]

THREADS = 6
"""Heavy monitors keep one for each lane."""


class Schedule:
    """Jobs by name. Each runs at most once at a time; what it missed meanwhile it does once, not often."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._guard = threading.Lock()  # a reload may come while it starts
        self._planned: dict[str, tuple[float, Work]] = {}
        self._jobs: BackgroundScheduler | None = None

    def every(self, seconds: float, name: str, work: Work) -> None:
        """Do the work now, or from `start` on, and every so many seconds, instead of what had this name."""
        with self._guard:
            if self._jobs is None:
                self._planned[name] = seconds, work
            else:
                self._add(self._jobs, seconds, name, work)

    def _add(self, jobs: "BackgroundScheduler", seconds: float, name: str, work: Work) -> None:
        now = self._clock.now()
        jobs.add_job(work, "interval", seconds=seconds, id=name, replace_existing=True, next_run_time=now)

    def start(self) -> None:
        """Begin."""
        with self._guard:
            self._jobs = scheduler()
            for name, (seconds, work) in self._planned.items():
                self._add(self._jobs, seconds, name, work)
            self._jobs.start()

    def stop(self) -> None:
        """Begin nothing more; what is under way goes on."""
        if self._jobs is not None:
            self._jobs.remove_all_jobs()

    def close(self) -> None:
        """End, without waiting for what is under way."""
        if self._jobs is not None:
            self._jobs.shutdown(wait=False)


def scheduler() -> "BackgroundScheduler":
    """Return what begins the jobs; its library takes a while, and who reads a log once needs none."""
    from apscheduler.executors.pool import ThreadPoolExecutor  # noqa: PLC0415 - see above
    from apscheduler.schedulers.background import BackgroundScheduler  # noqa: PLC0415 - see above

    defaults = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
    pool = {"default": ThreadPoolExecutor(THREADS)}
    return BackgroundScheduler(executors=pool, job_defaults=defaults, timezone=UTC)
