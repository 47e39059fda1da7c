"""The options that a user gives a multivariate detector, checked and made into what the detector reads."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from msgspec.structs import asdict

from detectors.joint import Joint, Option, RefusedError

WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
LEAST_ROWS = 20
"""Of fewer rows the laws of the statistics are not known well enough."""

T = TypeVar("T")


def wrong_options(kind: type[Any], name: str, given: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a detector's options: the name of one, or "" for all together, and what to do.

    kind: the class of its options, whose defaults say their types and whose making checks their limits.
    """
    known = asdict(kind())
    found = [(key, says) for key, value in given.items() if (says := _wrong(name, known, key, value))]
    yield from found
    if not found:
        try:
            kind(**given)
        except ValueError as error:
            yield "", str(error)


def _wrong(name: str, known: Mapping[str, object], key: str, value: object) -> str:
    if key not in known:
        near = get_close_matches(key, known, n=1)
        return f"is not an option of {name}; " + (
            f'did you mean "{near[0]}"?' if near else f"write one of {', '.join(known)}"
        )
    kind = type(known[key])
    fits = type(value) is kind or (kind is float and type(value) is int)
    return "" if fits else f"must be {WORDS[kind]}"


def made(kind: type[T], name: str, given: Mapping[str, Option]) -> T:
    """Return the options; ValueError says what is wrong with the first wrong one."""
    for key, says in wrong_options(kind, name, given):
        raise ValueError(f"{key} {says}".strip())
    return kind(**given)


def enough(
    reference: Joint,
    window: Joint,
    least: tuple[int, int] = (LEAST_ROWS, LEAST_ROWS),
    rows: tuple[int, int] | None = None,
) -> None:
    """Demand the same columns, at least one, and so many (usable) rows of the reference and of the window."""
    if reference.columns != window.columns or not reference.columns:
        raise RefusedError("the reference and the window must have the same columns, at least one")
    of_reference, of_window = rows or (reference.rows, window.rows)
    if of_reference < least[0] or of_window < least[1]:
        raise RefusedError(
            f"{of_window} usable rows in the window, {of_reference} in the reference: "
            f"at least {least[1]} and {least[0]} are needed"
        )
