"""Which streams there are, what each takes, and one made of the parameters that a user writes."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from inspect import signature
from types import MappingProxyType
from typing import Literal

from msgspec import Struct
from msgspec.structs import asdict

from detectors.bets import Plan
from detectors.e_sr import ESR
from detectors.mean_bound import Moments
from detectors.river_rules import RIVER
from detectors.streaming import Stream

Parameters = Mapping[str, bool | int | float | str]
Takes = Literal["errors", "unit", "numbers"]
WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


class StreamKind(Struct, frozen=True):
    """takes: 0 and 1 only, numbers from 0 to 1, or any. cost: microseconds per row, docs/detectors.md's."""

    takes: Takes
    cost: float


STREAMS: Mapping[str, StreamKind] = MappingProxyType(
    {
        "e_sr": StreamKind("unit", 0.2),
        "adwin": StreamKind("numbers", 0.2),
        "page_hinkley": StreamKind("numbers", 0.5),
        "kswin": StreamKind("numbers", 270.0),
        "ddm": StreamKind("errors", 0.5),
        "eddm": StreamKind("errors", 0.3),
        "hddm_a": StreamKind("errors", 3.0),
        "hddm_w": StreamKind("errors", 3.0),
        "fhddm": StreamKind("errors", 0.3),
    }
)


def defaults(name: str) -> dict[str, object]:
    """Return the parameters of a stream by name, with their defaults.

    Examples
    --------
    >>> defaults("kswin")
    {'alpha': 0.005, 'window_size': 100, 'stat_size': 30, 'seed': 0}

    """
    if name == ESR.name:
        return asdict(Plan())
    return {p.name: p.default for p in signature(RIVER[name]).parameters.values()}


def mistakes(name: str, given: Parameters) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with parameters: the name of one, or "" for all together, and what to do.

    Examples
    --------
    >>> list(mistakes("adwin", {"delt": 0.1, "clock": 0.5}))
    [('delt', 'is not a parameter of adwin; did you mean "delta"?'), ('clock', 'must be a whole number')]
    >>> list(mistakes("adwin", {"delta": 2.0}))
    [('', 'delta is 2.0: it must be between 0 and 1')]

    """
    known = defaults(name)
    wrong = [(key, _wrong(name, known, key, value)) for key, value in given.items()]
    found = [(key, says) for key, says in wrong if says]
    yield from found
    if not found:
        try:
            make_stream(name, given, Moments(1_000_000, 1.0, 1.0))
        except ValueError as error:
            yield "", str(error)


def _wrong(name: str, known: Mapping[str, object], key: str, value: object) -> str:
    if key not in known:
        near = get_close_matches(key, known, n=1)
        return f"is not a parameter of {name}; " + (
            f'did you mean "{near[0]}"?' if near else f"write one of {', '.join(known)}"
        )
    kind = int if known[key] is None else type(known[key])
    fits = type(value) is kind or (kind is float and type(value) is int)
    return "" if fits else f"must be {WORDS[kind]}"


def make_stream(name: str, given: Parameters, reference: Moments | None = None) -> Stream:
    """Make a stream of checked parameters; reference: what e_sr compares with, on its scale of 0 to 1.

    ValueError: parameters beyond their limits, or a reference that is too small or missing.

    Examples
    --------
    >>> make_stream("e_sr", {"arl": 1e5}, Moments(1_000, 100.0, 100.0)).threshold
    100000.0

    """
    if name != ESR.name:
        return RIVER[name](**given)
    if reference is None:
        raise ValueError("e_sr needs a reference")
    return ESR(reference, Plan(**given))  # type: ignore[arg-type]  # `mistakes` has looked at their types
