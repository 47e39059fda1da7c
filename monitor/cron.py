"""Schedules as crontab lines, in UTC: the five fields of crontab(5), read by APScheduler."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from monitor.types import Micros

DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
FIELDS = 5
EPOCH = datetime.fromtimestamp(0, UTC)
MICROSECOND = timedelta(microseconds=1)


class Cron:
    """When something is due. ValueError: the line is no schedule, and why.

    Examples
    --------
    >>> DAY = 86_400_000_000
    >>> Cron("0 3 * * *")(DAY) / DAY
    1.125
    >>> Cron("0 0 * * 0")(0) // DAY  # the first Sunday of 1970 is the fourth of January
    3

    """

    def __init__(self, line: str) -> None:
        fields = line.split()
        if len(fields) != FIELDS:
            raise ValueError("has five fields: minute, hour, day of month, month, day of week")
        if fields[2] != "*" and fields[4] != "*":
            raise ValueError("names days of the month and of the week; write * for one of them")
        from apscheduler.triggers.cron import CronTrigger  # noqa: PLC0415 - slow, and few models have schedules

        minute, hour, day, month, weekday = fields
        try:
            self._trigger = CronTrigger(None, month, day, None, _named(weekday), hour, minute, timezone=UTC)
            first = self._trigger.get_next_fire_time(None, EPOCH)
        except (ValueError, KeyError, IndexError) as error:
            raise ValueError(f"is not a schedule: {error}") from error
        if first is None:
            raise ValueError("never comes")

    def __call__(self, at: Micros) -> Micros:
        """Return its first time at or after a point in event time."""
        found = self._trigger.get_next_fire_time(None, EPOCH + at * MICROSECOND)
        due: Micros = (found - EPOCH) // MICROSECOND
        return due


@lru_cache(64)
def cron(line: str) -> Cron:
    """Return a schedule, made once."""
    return Cron(line)


def _named(weekday: str) -> str:
    """Write days of the week by name: by number APScheduler begins with Monday, crontab with Sunday."""
    return ",".join(_days(item) for item in weekday.split(","))


def _days(item: str) -> str:
    found = re.fullmatch(r"(?:(\*)|([0-7])(?:-([0-7]))?)(?:/([1-9]))?", item)
    if item == "*" or found is None:
        return item
    every, first, last, step = found.groups()
    low = 0 if every else int(first)
    high = 6 if every else int(last or (6 if step else first))
    return ",".join(DAYS[low : high + 1 : int(step or 1)])
