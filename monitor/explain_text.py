"""An explained episode as lines for a person."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from detectors.base import ClassShare
from detectors.class_shift import share_text
from monitor.episode_text import answered
from monitor.performance_status import time_text
from monitor.performance_text import plain

Item = Mapping[str, Any]
NAME = 10
NAMED = 10
"""Monitors of a grouped episode that are named."""
WHOLE = "_all"
NAMED_FEATURES = 5
LEAST = 0.2
"""A part in telling the samples apart that is worth a line."""
AGREE = "both rankings name the same feature first"
DISAGREE = "alone another feature is first than together with the others"


def explain_lines(document: Item) -> list[str]:
    """Return the lines."""
    episode, record, verified = document["episode"], document["record"], document["verified"]
    lines = list(_episode(episode)) if episode else []
    if record:
        lines += _record(record["head"], record["seal"], alone=episode is None)
    if verified:
        lines += _verified(verified)
    return lines


def _line(name: str, text: str) -> str:
    return f"  {name:<{NAME}}{plain(text)}"


def _episode(one: Item) -> Iterator[str]:
    state = "FIRING" if one["state"] == "firing" else one["state"]
    version = f" {one['version']}" if one["version"] else ""
    yield plain(
        f"{one['id']} {state}: {_monitor(one)} of {one['model']} [{one['segment']}{version}], {one['kind']}"
    )
    until = f", until {one['ended']}" if one["ended"] else ""
    yield _line("fired", f"in the window from {one['started']}{until}{answered(one)}")
    if one["cause"]:
        yield _line("cause", one["cause"])
    if one["members"]:
        named = [f"{feature} {detector} [{segment}]" for segment, feature, detector in one["members"][:NAMED]]
        more = len(one["members"]) - len(named)
        yield _line(
            "monitors", f"{len(one['members'])}: {', '.join(named)}{f', and {more} more' if more else ''}"
        )
    if one["attribution"]:
        yield from _why(one["attribution"])


def _why(found: Item) -> Iterator[str]:
    yield _line("since", f"{found['onset']}, the first window of the change")
    for name in ("segment", "version"):
        place = found[name]
        if place:
            yield _line(
                "where",
                f"{name} {place['label']}: {_number(place['distance'])} from its reference, "
                f"the next one {_number(place['next'])}",
            )
    if found["performance"]:
        yield from _performance(found["performance"])
    if found.get("problem"):
        yield _line("inputs", f"could not be ranked: {found['problem']}")
        return
    moved = [part for part in found["features"] if _counts(part)]
    if not moved:
        looked = all(part["together"] is not None for part in found["features"])
        more = "" if looked else "; together they were not looked at"
        yield _line("inputs", f"no feature is further from what is usual than it may be{more}")
    for place, part in enumerate(moved[:NAMED_FEATURES]):
        yield _line("inputs" if place == 0 else "", _part(part))
    if moved and found["agree"] is not None:
        yield _line("", AGREE if found["agree"] else DISAGREE)
    if found["pair"]:
        yield _line(
            "", f"{found['pair'][0]} and {found['pair'][1]} go together otherwise than in the reference"
        )


def _counts(part: Item) -> bool:
    """Tell whether a feature is worth a line; one that was not judged alone is where it has a part."""
    together = part["together"] or 0.0
    return part["ratio"] > 1.0 or together >= LEAST or (not part["ratio"] and part["share"] >= LEAST)


def _part(part: Item) -> str:
    limit = f"{part['ratio']:.2g} times as far as it may be" if part["ratio"] else "not judged alone"
    share, alone = (round(100 * part[name]) for name in ("share", "alone"))
    moved = f"{part['what']} by {part['effect']:+.2g}, " if part["what"] else ""
    together = "not looked at" if part["together"] is None else f"{round(100 * part['together'])} %"
    parts = f"alone {alone} %, together {together}"
    return f"{part['feature']}, {share} % of the change: {moved}{limit} ({parts})"


def _performance(found: Item) -> Iterator[str]:
    said = found["says"] or "not told from chance"
    yield _line(
        "reason",
        f"{said}: {found['metric']} was {_number(found['reference'])} in the reference, would be "
        f"{_number(found['expected'])} on these inputs, and is {_number(found['realised'])}",
    )
    for one in found["segments"]:
        lost = f"inputs cost {_number(one['inputs'])}, the relation {_number(one['relation'])}"
        yield _line(
            "", f"{one['label']}: {one['says'] or 'no more than chance'}, {one['rows']:,} rows, {lost}"
        )


def _monitor(one: Item) -> str:
    return one["detector"] if one["feature"] == WHOLE else f"{one['feature']} {one['detector']}"


def _record(head: Item, seal: str, *, alone: bool) -> Iterator[str]:
    verdict, monitor = head["verdict"], head["monitor"]
    if alone:
        version = f" {monitor['version']}" if monitor["version"] else ""
        where = f"of {head['model']} [{monitor['segment']}{version}], {monitor['kind']}"
        yield plain(f"{head['episode']}: {_monitor(monitor)} {where}")
    start, end = (time_text(at) for at in head["window"])
    yield _line("window", f"{start} to {end}, {_rows(head, verdict)}")
    origin = "configured" if head["threshold"] is not None else "from the budget of false alarms"
    yield _line("score", f"{_number(verdict['score'])}, threshold {_number(verdict['threshold'])} ({origin})")
    yield from _what(verdict)
    config, versions = head["config"], head["versions"]
    yield _line(
        "settings",
        f"min_effect {config['alarms']['min_effect']}, budget {config['alarms']['budget']}, "
        f"level {_number(head.get('level'))} a window; hash {config['hash'][:16]}",
    )
    reference = head.get("reference", {})
    if "hash" in reference:
        yield _line("reference", f"{reference['number']}: {reference['hash']}, {reference['origin']}")
    yield _line("computed", ", ".join(f"{name} {number}" for name, number in sorted(versions.items())))
    yield _line("record", f"sha256 {seal}")


def _what(verdict: Item) -> Iterator[str]:
    """Yield the note of a verdict, or all classes where it has some of them."""
    classes = [ClassShare(*each) for each in verdict.get("classes", ())]
    if verdict["note"] and not classes:
        yield _line("what", verdict["note"])
    for place, one in enumerate(classes):
        said = "estimated share of true " if place == 0 else ""
        yield _line("what" if place == 0 else "", f"{said}{one.name} {share_text(one)}")


def _rows(head: Item, verdict: Item) -> str:
    rows = head.get("rows")
    judged = f"{verdict['n']:,} rows judged"
    if rows is None:
        return judged
    if head["how"] in {"realised", "estimate"}:
        return f"{judged}, {rows[1]:,} of {rows[0]:,} predictions with an outcome"
    return f"{judged}, {rows[0]:,} in the window and {rows[1]:,} in the reference"


def _number(number: float | None) -> str:
    return "none" if number is None else f"{number:.4g}"


def _verified(found: Item) -> Iterator[str]:
    numbers: Sequence[Item] = found["numbers"]
    if found["says"] != "not equal":
        again = ", ".join(f"{n['name']} {_said(n['again'])}" for n in numbers)
        yield _line("verify", f"{found['says']}: {again}")
    else:
        apart = [
            f"{n['name']} {_said(n['recorded'])} recorded, {_said(n['again'])} again"
            for n in numbers
            if not n["equal"]
        ]
        yield _line(
            "verify", "NOT EQUAL: " + "; ".join([*([found["problem"]] if found["problem"] else []), *apart])
        )
    for name in ("lacking", "note"):
        if found[name]:
            yield _line("", found[name])


def _said(value: float | str | None) -> str:
    return value if isinstance(value, str) else _number(value)
