"""What it takes to make 300 classes of immutable values, as a start does: docs/decisions/0010.

    python -m benchmarks.values

Both kinds are made in turns in one process. Prints the fastest of each, and values made a second.
"""

import time
from collections.abc import Callable
from dataclasses import make_dataclass

from msgspec import defstruct

CLASSES, TURNS, VALUES = 300, 5, 200_000
FIELDS = tuple((name, int) for name in ("first", "second", "third", "fourth", "fifth"))


def as_dataclass(name: str) -> type:
    """Make a class with the standard library."""
    return make_dataclass(name, FIELDS, frozen=True, slots=True)


def as_struct(name: str) -> type:
    """Make a class with msgspec."""
    return defstruct(name, FIELDS, frozen=True)


KINDS: dict[str, Callable[[str], type]] = {"dataclass": as_dataclass, "Struct": as_struct}


def classes_made(kind: Callable[[str], type]) -> float:
    """Return the seconds that the classes take."""
    began = time.perf_counter()
    for number in range(CLASSES):
        kind(f"Value{number}")
    return time.perf_counter() - began


def values_made(kind: Callable[[str], type]) -> float:
    """Return the seconds that values of one class take."""
    made = kind("Value")
    began = time.perf_counter()
    for number in range(VALUES):
        made(number, 2, 3, 4, 5)
    return time.perf_counter() - began


def main() -> None:
    """Measure both."""
    turns = [{name: (classes_made(k), values_made(k)) for name, k in KINDS.items()} for _ in range(TURNS)]
    for name in KINDS:
        made, filled = (min(turn[name][i] for turn in turns) for i in (0, 1))
        print(f"{name:10} {CLASSES} classes {made * 1e3:6.1f} ms, {VALUES / filled:12,.0f} values/s")


if __name__ == "__main__":
    main()
