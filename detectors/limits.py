"""The limits of the parameters of detectors: what is outside of them is refused with its name and value."""

import math
from collections.abc import Collection


def share(name: str, value: float) -> None:
    """Demand a number between 0 and 1, both excluded.

    Examples
    --------
    >>> share("delta", 1.5)
    Traceback (most recent call last):
    ValueError: delta is 1.5: it must be between 0 and 1

    """
    if not 0 < value < 1:
        raise ValueError(f"{name} is {value}: it must be between 0 and 1")


def count(**given: tuple[object, int]) -> None:
    """Demand of each name's (value, least) a whole number, at least the least.

    Examples
    --------
    >>> count(clock=(0, 1))
    Traceback (most recent call last):
    ValueError: clock is 0: it must be a whole number, at least 1

    """
    for name, (value, least) in given.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} is {value}: it must be a whole number, at least {least}")


def size(**given: tuple[float, bool]) -> None:
    """Demand of each name's (value, may it be 0) a finite number that is not negative.

    Examples
    --------
    >>> size(threshold=(0.0, False))
    Traceback (most recent call last):
    ValueError: threshold is 0.0: it must be finite and above 0

    """
    for name, (value, zero) in given.items():
        if not math.isfinite(value) or value < 0 or (value == 0 and not zero):
            least = "not below 0" if zero else "above 0"
            raise ValueError(f"{name} is {value}: it must be finite and {least}")


def ordered(low: tuple[str, float], high: tuple[str, float]) -> None:
    """Demand that the first named value is not above the second.

    Examples
    --------
    >>> ordered(("beta", 0.9), ("alpha", 0.8))
    Traceback (most recent call last):
    ValueError: beta is 0.9: it must not be above alpha, 0.8

    """
    if low[1] > high[1]:
        raise ValueError(f"{low[0]} is {low[1]}: it must not be above {high[0]}, {high[1]}")


def one_of(name: str, value: object, known: Collection[str]) -> None:
    """Demand one of the known words.

    Examples
    --------
    >>> one_of("scale", "rank", ("ranks", "sd"))
    Traceback (most recent call last):
    ValueError: scale is "rank": write one of ranks, sd

    """
    if value not in known:
        raise ValueError(f'{name} is "{value}": write one of {", ".join(known)}')
