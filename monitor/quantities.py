"""The small languages of the configuration: durations, sizes, budgets, addresses; read and written.

Every reader raises ValueError with a text that goes on after the value: "is not a duration; write ...".
"""

import math
import re
from datetime import timedelta

UNITS = {"us": 1, "ms": 1_000, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86_400 * 10**6}
SIZES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
LONGEST_DAYS = 36_500


def parse_duration(text: object) -> timedelta:
    """Read "30s", "10m", "1h", "7d" as a timedelta; a timedelta stays what it is."""
    if isinstance(text, timedelta):
        return text
    match = (
        re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)(us|ms|s|m|h|d)", text)
        if isinstance(text, str)
        else None
    )
    if match is None:
        raise ValueError('is not a duration; write a number and a unit, like "30s", "10m", "1h" or "7d"')
    micros = round(float(match[1]) * UNITS[match[2]])
    if micros > LONGEST_DAYS * UNITS["d"]:
        raise ValueError(f'is too long; write at most "{LONGEST_DAYS}d"')
    return timedelta(microseconds=micros)


def format_duration(length: timedelta) -> str:
    """Write a timedelta as `parse_duration` reads it, in the largest unit that divides it.

    >>> format_duration(timedelta(minutes=90))
    '90m'
    """
    micros = length // timedelta(microseconds=1)
    unit = next((u for u in reversed(UNITS) if micros and micros % UNITS[u] == 0), "s")
    return f"{micros // UNITS[unit]}{unit}"


def parse_size(text: object) -> int:
    """Read "64MiB" as a number of bytes."""
    match = re.fullmatch(r"([0-9]{1,15})(B|KiB|MiB|GiB)", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError('is not a size; write a number and a unit, like "512KiB" or "64MiB"')
    return int(match[1]) * SIZES[match[2]]


def format_size(count: int) -> str:
    """Write a number of bytes as `parse_size` reads it."""
    unit = next((u for u in reversed(SIZES) if count and count % SIZES[u] == 0), "B")
    return f"{count // SIZES[unit]}{unit}"


def parse_budget(text: str) -> tuple[float, timedelta]:
    """Read "1 per 30d" as (false episodes, per time)."""
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) per (\S+)", text)
    try:
        count, period = (float(match[1]), parse_duration(match[2])) if match else (0.0, timedelta(0))
    except ValueError:
        count, period = 0.0, timedelta(0)
    if not (count > 0 and math.isfinite(count) and period > timedelta(0)):
        raise ValueError('is not a budget; write false episodes per time, both above 0, like "1 per 30d"')
    return count, period


def parse_address(text: str) -> tuple[str, int]:
    """Read "127.0.0.1:9478" or "[::1]:9478" as (host, port); port 0 lets the system choose."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})", text)
    if match is None or int(match[2]) >= 2**16:
        raise ValueError(
            'is not an address; write host:port with a port of 0 to 65535, like "127.0.0.1:9478"'
        )
    return match[1].strip("[]"), int(match[2])
