"""`--inject`: a wished change of a log's rows, read and put into the terms of one model's reference."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

import numpy as np
import polars as pl
from msgspec import Struct

from detectors.profile import CategorySummary, NumericSummary, summaries
from monitor.complaints import nearest
from monitor.core.hashing import hash_text
from monitor.core.profiles import ALL
from monitor.core.reference import Baseline
from monitor.core.schema import Schema
from monitor.errors import ConfigError
from monitor.truth import Incident, read_time
from monitor.types import Micros

NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,15})?"
FORMS: Mapping[str, str] = {
    "shift": rf"(?P<amount>[+-]?{NUMBER})(?P<sd>sd)?",
    "scale": rf"(?P<amount>{NUMBER})",
    "share": rf"(?P<value>.+):(?P<amount>[+-]{NUMBER})%",
    "null": rf"\+?(?P<amount>{NUMBER})%",
}
EXAMPLES: Mapping[str, str] = {
    "shift": "shift=0.25sd or shift=-3", "scale": "scale=1.5", "share": "share=red:+5%", "null": "null=+2%",
}  # fmt: skip
KEYS = ("feature", "from", "to", "model", *FORMS)
LIKE = '"feature=age shift=0.25sd from=2026-03-01T00:00:00Z"'
WHOLE = 100
"""Per cent."""


class How(StrEnum):
    """In which way rows change."""

    SHIFT = "shift"
    SCALE = "scale"
    SHARE = "share"
    NULL = "null"


MOVES = (How.SHIFT, How.SCALE)


class What(Struct, frozen=True):
    """How rows change. amount: what is added, the factor, or a share of all rows (0.05: 5 of 100).

    in_sd: what is added counts the reference's standard deviations. value: the category whose share changes.
    """

    how: How
    amount: float
    in_sd: bool = False
    value: str = ""


class Injection(Struct, frozen=True):
    """A wished change of rows in [start, end), microseconds. model: only this one's, "" for every model's."""

    text: str
    feature: str
    what: What
    start: Micros
    end: Micros | None = None
    model: str = ""

    def incident(self, model: str) -> Incident:
        """Return it as what a backtest should find."""
        return Incident(model, self.start, self.end, "", self.feature, f"inject {self.text}", exact=True)


class Change(Struct, frozen=True):
    """An injection in the terms of one model's log.

    column: of the log. amount: for "shift" in the column's unit; for "null" and "share" the chance that a
    row which can change does. others, odds: for a share that falls, what its rows become, and the cumulative
    chances.
    """

    wish: Injection
    column: str
    amount: float
    others: tuple[str, ...] = ()
    odds: tuple[float, ...] = ()

    @property
    def salt(self) -> np.uint64:
        """What makes one injection's choice of rows independent of another's."""
        found: np.uint64 = hash_text(pl.Series([self.wish.text]))[0]
        return found


def parse_injection(text: str) -> Injection:
    """Read `feature=... shift=... from=...`. Raises ConfigError with a line for each mistake."""
    try:
        parts = dict(part.partition("=")[::2] for part in shlex.split(text))
    except ValueError as error:
        raise ConfigError([f'--inject "{text}": {str(error).lower()}; write it like {LIKE}']) from error
    whats = [_what(how, parts[how]) for how in FORMS if how in parts]
    times = {key: _time(parts[key]) for key in ("from", "to") if parts.get(key)}
    wrong = list(_complaints(parts, whats, times))
    if wrong:
        raise ConfigError([f'--inject "{text}": {says}' for says in wrong])
    (what,) = (what for what in whats if what is not None)
    start, end = times["from"] or 0, times.get("to")
    return Injection(text, parts["feature"], what, start, end, parts.get("model", ""))


def _complaints(
    parts: Mapping[str, str], whats: Sequence[What | None], times: Mapping[str, Micros | None]
) -> Iterator[str]:
    yield from (f'has no key "{key}"{nearest(key, KEYS)}' for key in parts if key not in KEYS)
    yield from (f"needs {key}=...; write it like {LIKE}" for key in ("feature", "from") if not parts.get(key))
    if len(whats) != 1:
        yield f"needs one of {', '.join(EXAMPLES.values())}"
    elif whats[0] is None:
        how = next(how for how in FORMS if how in parts)
        yield f'{how}: "{parts[how]}" is not understood; write {EXAMPLES[how]}'
    for key, at in times.items():
        if at is None:
            yield f'{key}: "{parts[key]}" is not a time; write it like 2026-01-31 or 2026-01-31T12:00:00Z'
    start, end = times.get("from"), times.get("to")
    if start is not None and end is not None and end <= start:
        yield "to is not after from; leave it out for a change that stays"


def _time(text: str) -> Micros | None:
    try:
        return read_time(text)
    except ValueError:
        return None


def _what(how: str, text: str) -> What | None:
    """Read an amount; None where it is none."""
    match = re.fullmatch(FORMS[how], text)
    if match is None:
        return None
    amount, parts = float(match["amount"]), match.groupdict()
    percent = how in (How.SHARE, How.NULL)
    if not amount or (percent and abs(amount) > WHOLE):
        return None
    value = parts.get("value", "")
    return What(How(how), amount / WHOLE if percent else amount, parts.get("sd") is not None, value)


def concerns(wish: Injection, model: str, schema: Schema) -> bool:
    """Tell whether an injection changes this model's log."""
    return wish.model in ("", model) and wish.feature in schema.watched


def change_of(wish: Injection, schema: Schema, baseline: Baseline | None) -> Change:
    """Return the change in the log's terms. Raises ConfigError when the feature cannot change like that."""
    number = wish.feature in schema.numbers
    column = (schema.numbers if number else schema.texts)[wish.feature]
    if not number and wish.what.how in MOVES:
        raise _refused(wish, f"{wish.feature} is a category; use share or null")
    if number and wish.what.how is How.SHARE:
        raise _refused(wish, f"{wish.feature} is a number; use shift, scale or null")
    if number and column in schema.wanted.text:
        raise _refused(wish, f"{wish.feature} is read as text as well; choose another feature")
    if wish.what.how is How.SCALE or (wish.what.how is How.SHIFT and not wish.what.in_sd):
        return Change(wish, column, wish.what.amount)
    if baseline is None:
        says = "needs a reference file; the first part of the log is known too late. Use shift without sd"
        raise _refused(wish, says)
    known = next(s for s in summaries(baseline.grid, baseline.profiles[ALL]) if s.grid.name == wish.feature)
    if wish.what.how is How.NULL:
        return Change(wish, column, _chance(wish, wish.what.amount, 1 - known.null / known.rows))
    if isinstance(known, NumericSummary):
        if not known.grid.sd:
            raise _refused(wish, "the reference's values are all the same; use shift without sd")
        return Change(wish, column, wish.what.amount * known.grid.sd)
    return _share_change(wish, column, known)


def _share_change(wish: Injection, column: str, known: CategorySummary) -> Change:
    """Return the chance that another value becomes this one, or this one another."""
    total = max(known.n, 1)
    shares = dict(zip(known.grid.categories, (known.counts / total).tolist(), strict=False))
    share = shares.pop(wish.what.value, 0.0)
    if wish.what.amount > 0:
        return Change(wish, column, _chance(wish, wish.what.amount, 1 - share))
    if not sum(shares.values()):
        raise _refused(wish, "the reference has no other value to take its place")
    odds = np.cumsum(list(shares.values())) / sum(shares.values())
    chance = _chance(wish, -wish.what.amount, share)
    return Change(wish, column, chance, tuple(shares), tuple(odds.tolist()))


def _chance(wish: Injection, amount: float, share: float) -> float:
    """Return which part of the rows that can change must, so that `amount` of all rows do."""
    if amount > share:
        raise _refused(wish, f"in the reference only {share:.1%} of the rows can change so; choose less")
    return amount / share


def _refused(wish: Injection, says: str) -> ConfigError:
    return ConfigError([f'--inject "{wish.text}": {says}'])
