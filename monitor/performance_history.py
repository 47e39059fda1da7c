"""How performance went: every window that is remembered, as data and as a table."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from monitor.core.comparing import FAIRNESS, WORST
from monitor.core.labels import ESTIMATED, REALIZED, Measured, SeriesKey
from monitor.core.plan import Plan
from monitor.core.profiles import ALL, GroupKey
from monitor.core.standard import GROUP
from monitor.core.state import ModelState
from monitor.performance_status import estimate_item, fairness_item, time_text, worst_item
from monitor.performance_text import number, plain
from monitor.performing import Window, questions

NUMBER, SHARE = 10, 8
Item = Mapping[str, Any]


def performance_history(
    plans: Iterable[Plan], states: Mapping[str, ModelState], *, segments: bool = False
) -> dict[str, Any]:
    """Return the windows of each model, the oldest first, with every metric; ready for JSON.

    segments: those of each segment too, not only those of all rows. fairness: of each window and group
    column the differences, of each group its rates; worst: the windows that prove a segment the worst.
    """
    return {"models": [_model(plan, states[plan.name], segments=segments) for plan in plans]}


def _model(plan: Plan, state: ModelState, *, segments: bool) -> dict[str, Any]:
    asked = dict.fromkeys(question.metric for question in questions(plan))
    found = [key for key in _keys(state) if segments or key.segment == ALL]
    order = sorted(found, key=lambda k: (k.start, k.version, k.segment != ALL, k.segment))
    return {
        "model": plan.name,
        "judged": list(asked),
        "windows": [_window(plan, state, key) for key in order],
        "fairness": [_fairness(plan, *item) for item in _remembered(state, FAIRNESS)],
        "worst": [_worst(plan, *item) for item in _remembered(state, WORST) if item[1].measured.note],
    }


def _remembered(state: ModelState, basis: str) -> list[tuple[SeriesKey, Window]]:
    """Return every window of a basis, the oldest first."""
    found = [
        (series, Window(start, measured))
        for series, windows in state.labels.history.items()
        if series.basis == basis
        for start, measured in windows.items()
    ]
    return sorted(found, key=lambda item: (item[1].start, item[0]))


def _fairness(plan: Plan, key: SeriesKey, window: Window) -> dict[str, Any]:
    more = {"coverage": window.measured.coverage}
    return _place(plan, key, window) | fairness_item(key, window) | more


def _worst(plan: Plan, key: SeriesKey, window: Window) -> dict[str, Any]:
    return _place(plan, key, window) | {"column": key.label.removeprefix("segment:")} | worst_item(window)


def _place(plan: Plan, key: SeriesKey, window: Window) -> dict[str, Any]:
    end = time_text(window.start + plan.window)
    return {"start": time_text(window.start), "end": end, "version": key.version}


def _keys(state: ModelState) -> set[GroupKey]:
    """Return the closed windows of which something is known, those that wait for outcomes among them."""
    labels, last = state.labels, state.book.last_closed
    found = {
        GroupKey(start, series.version, series.label)
        for series, windows in labels.history.items()
        if series.basis in (REALIZED, ESTIMATED)
        for start in windows
    }
    found |= {key for key in labels.records if last is not None and key.start <= last}
    return {key for key in found if not key.segment.startswith(GROUP)}


def _window(plan: Plan, state: ModelState, key: GroupKey) -> dict[str, Any]:
    realized, estimated = (_at(state, key, basis) for basis in (REALIZED, ESTIMATED))
    rows, coverage = _known(state, key, realized, estimated)
    return {
        "start": time_text(key.start),
        "end": time_text(key.start + plan.window),
        "version": key.version,
        "segment": key.segment,
        "rows": rows,
        "coverage": coverage,
        REALIZED: _metrics(realized),
        ESTIMATED: _metrics(estimated),
        "estimation_coverage": estimated.coverage if estimated else None,
        "note": estimated.note if estimated else "",
        "detail": dict(realized.detail) if realized else {},
    }


def _at(state: ModelState, key: GroupKey, basis: str) -> Measured | None:
    return state.labels.history.get(SeriesKey(key.version, key.segment, basis), {}).get(key.start)


def _known(
    state: ModelState, key: GroupKey, realized: Measured | None, estimated: Measured | None
) -> tuple[int, float | None]:
    """Return a window's predictions, and the share of them whose outcome is known."""
    if realized is not None:
        return realized.rows, realized.coverage
    record = state.labels.records.get(key)
    if record is not None:
        return record.rows, record.coverage
    return (estimated.rows if estimated else 0), None


def _metrics(measured: Measured | None) -> dict[str, Any] | None:
    return {n: estimate_item(e) for n, e in measured.metrics.items()} if measured else None


def history_text(document: Item) -> str:
    """Return the windows as tables: of each judged metric the realised and the estimated value."""
    return "\n\n".join("\n".join(_table(model)) for model in document["models"])


def _table(model: Item) -> Iterator[str]:
    yield f"model {model['model']}"
    if not model["windows"]:
        yield "  nothing measured yet"
        return
    widths = {name: max(2 * NUMBER + 1, len(name) + 2) for name in model["judged"]}
    named = _named(model["windows"])
    if widths:
        over = "".join(f"{name:>{width}}" for name, width in widths.items())
        yield f"  {'':{len(named[0]) + NUMBER + SHARE}}{over}"
    heads = "".join(_pair("realized", "estimated", width) for width in widths.values())
    yield f"  {named[0]}{'rows':>{NUMBER}}{'known':>{SHARE}}{heads}"
    for name, window in zip(named[1:], model["windows"], strict=True):
        known = f"{window['rows']:>{NUMBER},}{_share(window['coverage']):>{SHARE}}"
        yield f"  {name}{known}" + "".join(_values(window, *item) for item in widths.items())


def _named(windows: Sequence[Item]) -> list[str]:
    """Return the head and what names each window, aligned, without columns that say nothing."""
    columns = [["window", *(w["start"] for w in windows)]]
    if any(w["version"] for w in windows):
        columns.append(["version", *(plain(w["version"]) for w in windows)])
    if any(w["segment"] != ALL for w in windows):
        columns.append(["segment", *(plain(w["segment"]) for w in windows)])
    widths = [max(map(len, column)) for column in columns]
    return [
        "  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)) for row in zip(*columns, strict=True)
    ]


def _values(window: Item, metric: str, width: int) -> str:
    pair = [(window[basis] or {}).get(metric, {}).get("value") for basis in (REALIZED, ESTIMATED)]
    return _pair(number(pair[0]), number(pair[1]), width)


def _pair(realized: str, estimated: str, width: int) -> str:
    return f"{realized:>{width - NUMBER - 1}}{estimated:>{NUMBER + 1}}"


def _share(coverage: float | None) -> str:
    return "-" if coverage is None else f"{coverage:.3f}"
