"""`driftd baseline`: a new reference from a part of the log, and the list of those stored."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from detectors.calibration import Calibrator
from monitor.book_facts import source_names
from monitor.config import Config, Model
from monitor.core.judging import BudgetJudge, null_models
from monitor.core.plan import Plan
from monitor.core.profiles import Rows
from monitor.core.reference import Baseline, build
from monitor.core.schema import Schema, type_rows
from monitor.core.state import ModelState, load_model, nulls_changes
from monitor.core.timestamps import detect_unit
from monitor.decoders.plain import decode
from monitor.errors import DriftdError, ReferenceUnusableError
from monitor.fields import TimeUnit
from monitor.gathering import Gathered
from monitor.heavy_opening import heavy_of
from monitor.models import adopt, open_source
from monitor.polling import ROWS
from monitor.references import read_frame, schema_of, watched
from monitor.sources.base import Source
from monitor.store.sqlite import SqliteStore
from monitor.types import Position

EPOCH = datetime.fromtimestamp(0, UTC)


class Span(Struct, frozen=True):
    """A part of event time: [begin, end), microseconds, and how it was written."""

    begin: int
    end: int
    text: str

    @classmethod
    def of(cls, begin: str, end: str) -> "Span":
        """Read two ISO-8601 times; zone-less is UTC."""
        span = cls(_micros(begin), _micros(end), f"{begin} to {end}")
        if span.begin >= span.end:
            raise DriftdError(f"--from {begin} is not before --to {end}; give an earlier start")
        return span


def _micros(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise DriftdError(
            f'"{text}" is not a time; write it like 2026-01-31 or 2026-01-31T12:00:00Z'
        ) from error
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) // timedelta(microseconds=1)


def make_baseline(config: Config, name: str, span: Span) -> str:
    """Read the log's span, store it as the model's newest reference; returns what to tell the user."""
    model = next((m for m in config.models if m.name == name), None)
    if model is None:
        known = ", ".join(m.name for m in config.models)
        raise DriftdError(f'there is no model "{name}"; the configuration has {known}')
    store = SqliteStore(config.daemon.state)
    try:
        state = load_model(name, store.load())
        schema = _schema(model, state)
        plan = Plan.of(model)
        rows, columns = _gather(config, state, schema, (plan, span))
        fresh = build(rows, watched(schema), f"log {span.text}", columns)
        after, changes = adopt(plan, state, fresh)
        added = after.baselines[-1]
        nulls = null_models(plan, added, rows)
        _, usual = heavy_of(plan, BudgetJudge(plan, Calibrator()).level).taught(after, rows, map)
        store.commit(changes | nulls_changes(name, nulls) | usual)
    finally:
        store.close()
    return f"{name}: reference {added.number} stored, {added.rows:,} rows, {added.hash}, from {span.text}"


def _schema(model: Model, state: ModelState) -> Schema:
    path = model.reference.path
    stored = state.newest_baseline
    frame = read_frame(path) if path is not None and stored is None and model.features is None else None
    return schema_of(model, frame, stored)


def _gather(
    config: Config, state: ModelState, schema: Schema, what: tuple[Plan, Span]
) -> tuple[Rows, frozenset[str]]:
    plan, span = what
    model = plan.model
    once = bool(model.columns.prediction_id) and model.deduplicate
    gathered = Gathered(span.begin, span.end, plan.window, once=once)
    for name, source in zip(source_names(plan), model.sources, strict=True):
        with closing(open_source(config, schema, name, source)) as reader:
            units = state.book.units.get(name) or schema.columns.timestamp_unit
            _read(gathered, schema, reader, source.format, units)
    rows = gathered.rows()
    if rows is None:
        raise ReferenceUnusableError(
            f"{model.name}: the log has no rows from {span.text}; choose another span"
        )
    return rows, frozenset(gathered.columns)


def _read(gathered: Gathered, schema: Schema, source: Source, form: str, units: TimeUnit) -> None:
    """Read a source to its end. What the timestamps count is settled by the first one that is a time."""
    position = Position()
    while (batch := source.poll(position, ROWS)) is not None:
        position = batch.position
        for chunk in batch.chunks:
            decoded = decode(chunk, schema.wanted, form)
            if units == "auto" and schema.columns.timestamp in decoded.frame.columns:
                units = detect_unit(decoded.frame[schema.columns.timestamp]) or "auto"
            typed, _ = type_rows(schema, chunk, decoded, units, gathered.end)
            gathered.add(typed, decoded.columns)


def list_baselines(config: Config) -> list[str]:
    """Return a line for each stored reference, the newest of a model last."""
    store = SqliteStore(config.daemon.state, read_only=True)
    try:
        entries = store.load()
    finally:
        store.close()
    lines = []
    for model in config.models:
        stored = load_model(model.name, entries).baselines
        lines += [_line(model.name, b, newest=b is stored[-1]) for b in stored]
        if not stored:
            lines.append(f"{model.name}: no reference stored yet")
    return lines


def _line(model: str, baseline: Baseline, *, newest: bool) -> str:
    since = (
        "the beginning" if baseline.since <= 0 else f"{EPOCH + timedelta(microseconds=baseline.since):%FT%TZ}"
    )
    mark = "  <- in force" if newest else ""
    return (
        f"{model}: {baseline.number}  {baseline.hash}  {baseline.rows:,} rows  "
        f"for windows from {since}  {baseline.origin}{mark}"
    )
