"""The performance of a model for a person at a glance: realised and estimated side by side, 100 columns."""

from collections.abc import Iterator, Mapping
from typing import Any

NAME, CELL = 18, 33
FEW = 3
"""Metrics that are shown where none is judged."""
WORDS = {"firing": "FIRING", "insufficient_data": "too few", "no_reference": "no limit"}
FAIRNESS = {
    "demographic_parity_difference": "parity",
    "demographic_parity_ratio": "ratio",
    "equal_opportunity_difference": "opportunity",
    "equalized_odds_difference": "odds",
}
"""The differences between groups, as they are called for short."""
Item = Mapping[str, Any]


def performance_lines(performance: Item) -> list[str]:
    """Return what `performance_status` says as lines."""
    lines = [line for one in performance["versions"] for line in _version(one)]
    if performance["compare"]:
        lines.append(f"  compare     {_compare(performance['compare'])}")
    if performance["labels"]:
        counts = ", ".join(f"{n:,} {what}" for what, n in performance["labels"].items())
        lines.append(f"  outcomes    {counts}")
    return lines


def _version(one: Item) -> Iterator[str]:
    realized, estimated = one["realized"], one["estimated"]
    title = f"performance {plain(one['version'])}"
    yield f"  {title:<{NAME + 2}}{'realized':<{CELL}}{'estimated':<{CELL}}limit"
    ends = [f"until {w['end']}" if w else "" for w in (realized, estimated)]
    yield _row("window", ends[0] or "none judged yet", ends[1] or "none")
    if realized or estimated:
        rows = [_rows(realized, "known"), _rows(estimated, "covered")]
        yield _row("rows", *rows)
    for name in _shown(realized, estimated):
        pair = [w["metrics"].get(name) if w else None for w in (realized, estimated)]
        yield _row(name, *(_cell(m) for m in pair), _limits(pair))
    if estimated and estimated["note"]:
        yield _row("", "", estimated["note"])
    if one["waiting"]:
        yield _row("waiting", _waiting(one["waiting"]))
    for worst in one["worst"]:
        gaps = ", ".join(f"{name} {number(gap['value'])}" for name, gap in worst["gaps"].items())
        yield _row("worst segment", f"{plain(worst['segment'])}: {gaps} against the rest")
    for group in one["fairness"]:
        told = [
            (FAIRNESS[name], metric["value"]) for name, metric in group["metrics"].items() if name in FAIRNESS
        ]
        if told:
            numbers = ", ".join(f"{name} {'too few' if v is None else f'{v:.3f}'}" for name, v in told)
            yield _row("fairness", f"{plain(group['group'])}: {numbers}")


def _row(name: str, *cells: str) -> str:
    first, *others = cells
    line = f"    {name:<{NAME - 1}} {first:<{CELL}}" + "".join(f"{cell:<{CELL}}" for cell in others)
    return line.rstrip()


def _rows(window: Item | None, word: str) -> str:
    return f"{window['rows']:,} rows, {window['coverage']:.3f} {word}" if window else ""


def _shown(*windows: Item | None) -> list[str]:
    """Return the metrics to show: those that are judged, else the first few."""
    metrics = {name: metric for window in windows if window for name, metric in window["metrics"].items()}
    judged = {name for window in windows if window for name, m in window["metrics"].items() if "state" in m}
    return [name for name in metrics if name in judged] or list(metrics)[:FEW]


def _cell(metric: Item | None) -> str:
    if metric is None:
        return ""
    state = metric.get("state", "")
    return f"{interval(metric)} {WORDS.get(state, state)}".rstrip()


def _limits(pair: list[Item | None]) -> str:
    signs = {"higher": ">=", "lower": "<="}
    limits = [f"{signs[m['better']]} {number(m['limit'])}" for m in pair if m and m.get("limit") is not None]
    return " / ".join(dict.fromkeys(limits))


def _waiting(waiting: Item) -> str:
    windows = f"{waiting['windows']:,} window{'s' if waiting['windows'] > 1 else ''}"
    return f"{windows}, the oldest until {waiting['end']}: {_rows(waiting, 'known')}"


def _compare(compare: Item) -> str:
    arms = plain(f"{compare['challenger']} against {compare['champion']}")
    difference = compare["difference"]
    if difference["low"] is None:
        return f"{arms}: too few rows of both yet"
    lead = "undecided" if compare["lead"] == "undecided" else f"{compare['lead']} better"
    return f"{arms}: loss {interval(difference)}, p {compare['pvalue']:.2g}: {lead}"


def interval(metric: Item) -> str:
    """Write a value with its interval, as far as there are any."""
    if metric["value"] is None:
        return "-"
    if metric["low"] is None or metric["high"] is None:
        return number(metric["value"])
    return f"{number(metric['value'])} [{number(metric['low'])}, {number(metric['high'])}]"


def plain(text: str) -> str:
    r"""Write a text of the user's data on one line: what cannot be printed as its escape.

    >>> print(plain("v1\nv2\x1b[31m"), plain("40K - 60K €"))
    v1\nv2\x1b[31m 40K - 60K €
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def number(value: float | None) -> str:
    """Write a number so that it is short at any size; "-" where there is none.

    >>> number(0.91453), number(852.34), number(12345.6), number(0.00001234), number(None)
    ('0.9145', '852.34', '12,346', '1.2e-05', '-')
    """
    if value is None:
        return "-"
    for least, text in ((1e12, ".3g"), (1e4, ",.0f"), (10.0, ".2f"), (1e-3, ".4f")):
        if abs(value) >= least:
            return f"{value:{text}}"
    return f"{value:.2g}"
