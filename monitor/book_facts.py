"""A model's counts as exported samples: rows by what became of them, windows, requests, sizes of groups."""

from collections.abc import Iterator

from exporters.catalog import Sample
from monitor.core.labels import REALIZED
from monitor.core.plan import Plan
from monitor.core.profiles import ALL
from monitor.core.state import ModelState
from monitor.core.windows import NEVER
from monitor.performing import BASES
from monitor.room import Block

SECOND = 10**6
EVENTS = ("received", "stored", "duplicate", "late")
SERIES_PER_GROUP = 2


def events(plan: Plan, state: ModelState) -> Iterator[Sample]:
    """Yield the loss account of each source."""
    counts = state.book.counts
    for source in source_names(plan):
        for what in EVENTS:
            name = f"driftd_events_{what}_total"
            yield Sample(name, (plan.name, source), counts.get((source, what, ""), 0))
        truncations = counts.get((source, "truncations", ""), 0)
        yield Sample("driftd_truncations_total", (plan.name, source), truncations)
    for (source, what, reason), n in sorted(counts.items()):
        if what in {"rejected", "dropped"} and source in source_names(plan):
            yield Sample(f"driftd_events_{what}_total", (plan.name, source, reason), n)


def source_names(plan: Plan) -> tuple[str, ...]:
    """Name a model's sources by role and place: a closed set of labels."""
    return tuple(f"{source.role}-{place}" for place, source in enumerate(plan.model.sources))


def progress(plan: Plan, state: ModelState) -> Iterator[Sample]:
    """Yield how far the windows are."""
    book, name = state.book, plan.name
    yield Sample("driftd_windows_open", (name,), len({k.start for k in state.windows}))
    yield Sample("driftd_windows_closed_total", (name,), book.windows_closed)
    if book.progress.newest != NEVER:
        watermark = book.progress.watermark(plan.lateness)
        yield Sample("driftd_watermark_timestamp_seconds", (name,), watermark / SECOND)
        yield Sample("driftd_last_row_timestamp_seconds", (name,), book.progress.newest / SECOND)


def group_blocks(plan: Plan, state: ModelState) -> list[Block]:
    """Return the series of each segment of the reference, then of each version and segment, `all` first."""
    name = plan.name
    baseline = state.newest_baseline
    sizes = baseline.profiles if baseline else {}
    blocks = [
        Block(SERIES_PER_GROUP, [Sample("driftd_reference_rows", (name, segment), sizes[segment].rows)])
        for segment in sorted(sizes, key=lambda s: (s != ALL, s))
    ]
    ends = _newest(state)
    for version_, segment in sorted(state.volumes, key=lambda place: (place[1] != ALL, place)):
        labels = (name, version_, segment)
        found = [Sample("driftd_window_rows", labels, state.volumes[version_, segment][-1])]
        if (version_, segment) in ends:
            end = (ends[version_, segment] + plan.window) / SECOND
            found.append(Sample("driftd_last_evaluation_timestamp_seconds", labels, end))
        blocks.append(Block(SERIES_PER_GROUP, found))
    return blocks


def _newest(state: ModelState) -> dict[tuple[str, str], int]:
    """Return the start of the newest closed window of each version and segment.

    Trips of realised performance are as old as their outcomes; where there are no others, a segment's
    newest window is its version's.
    """
    found: dict[tuple[str, str], int] = {}
    for key, trip in state.trips.items():
        place = (key.version, key.segment)
        if BASES.get(trip.kind) != REALIZED:
            found[place] = max(found.get(place, trip.window), trip.window)
    for version_, segment in state.volumes:
        closed = state.book.versions.get(version_)
        if closed is not None and (segment == ALL or (version_, segment) not in found):
            found[version_, segment] = closed
    return found


def retrain(plan: Plan, state: ModelState) -> Iterator[Sample]:
    """Yield what became of the requests to retrain."""
    for (webhook, what, outcome), n in sorted(state.book.counts.items()):
        if what == "retrain":
            yield Sample("driftd_retrain_requests_total", (plan.name, webhook, outcome), n)
