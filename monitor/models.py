"""From configured models to working ones: sources, decoders, schema, reference."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from detectors.calibration import Calibrator
from monitor.config import Config, Model, Source
from monitor.core.judging import BudgetJudge
from monitor.core.learning import forget_held
from monitor.core.plan import Plan
from monitor.core.reference import Baseline
from monitor.core.schema import Schema
from monitor.core.state import Changes, EntryKey, ModelState, load_model
from monitor.decoders.plain import decode, peek_time
from monitor.errors import ReferenceUnusableError
from monitor.facts import source_names
from monitor.logs import logger
from monitor.references import baseline_of, covers, read_frame, schema_of
from monitor.sources.files import FilesSource
from monitor.sources.reading import Limits
from monitor.types import Chunk
from monitor.worker import Decode, Tools, Worker


@dataclass(frozen=True, slots=True)
class WatchedModel:
    """A model's worker with its open sources."""

    worker: Worker
    sources: tuple[tuple[FilesSource, Source], ...]

    def drain(self, tools: Tools, stop: Callable[[], bool]) -> int:
        """Take in all that every source has; returns how many batches."""
        feeds = [(source, self._decoder(config.format)) for source, config in self.sources]
        return self.worker.drain_all(tools, feeds, stop)

    def _decoder(self, form: str) -> Decode:
        wanted = self.worker.schema.wanted
        return lambda batch: tuple(decode(chunk, wanted, form) for chunk in batch.chunks)

    def problems(self) -> Iterator[tuple[str, float]]:
        """Yield each source's name and 1 while it has a file it cannot read."""
        for source, _ in self.sources:
            yield source.name, float(bool(source.problems))

    def close(self) -> None:
        """Close the sources."""
        for source, _ in self.sources:
            source.close()


def open_models(config: Config, entries: Mapping[EntryKey, bytes], tools: Tools) -> tuple[WatchedModel, ...]:
    """Open every model: state from the entries, reference computed if it is not stored yet."""
    calibrator = Calibrator()
    return tuple(_open(config, model, entries, tools, calibrator) for model in config.models)


def _open(
    config: Config, model: Model, entries: Mapping[EntryKey, bytes], tools: Tools, calibrator: Calibrator
) -> WatchedModel:
    plan = Plan.of(model)
    state = load_model(model.name, entries)
    schema, fresh = reference_for(model, state, tools)
    if fresh is not None:
        state, changes = adopt(plan, state, fresh)
        tools.commit(model.name, changes, (), ())
    worker = Worker(plan, schema, BudgetJudge(plan, calibrator), state)
    sources = tuple(
        (open_source(config, schema, name, source), source)
        for name, source in zip(source_names(plan), model.sources, strict=True)
    )
    return WatchedModel(worker, sources)


def open_source(config: Config, schema: Schema, name: str, source: Source) -> FilesSource:
    """Open one source of a model."""

    def peek(chunk: Chunk) -> int | None:
        return peek_time(schema, chunk, source.format, schema.columns.timestamp_unit)

    limits = Limits(max_line=config.daemon.max_line)
    return FilesSource(name, source.path, source.format, peek, limits)


def reference_for(model: Model, state: ModelState, tools: Tools) -> tuple[Schema, Baseline | None]:
    """Return the log's schema, and a new baseline when the stored one does not serve this configuration.

    A reference is computed once: a file that changed under the same name is not read again, and that is
    said; another path, or other columns to watch, make a new version for the windows to come.
    """
    stored, path = state.newest_baseline, model.reference.path
    if path is None:
        schema = schema_of(model, None, stored)
        if stored is not None and not covers(stored, schema):
            raise ReferenceUnusableError(
                f"{model.name}: the stored reference watches other columns than are configured now; undo the "
                "change, or make a new one from the log with `driftd baseline --model --from --to`"
            )
        return schema, None
    origin = f"file {path}"
    if stored is not None and (stored.origin == origin or stored.from_log):
        schema = schema_of(model, None, stored)
        if covers(stored, schema):
            return schema, None
    frame = read_frame(Path(path))
    schema = schema_of(model, frame)
    return schema, baseline_of(schema, frame, origin, tools.run)


def adopt(plan: Plan, state: ModelState, baseline: Baseline) -> tuple[ModelState, Changes]:
    """Take on a new baseline, numbered; it judges windows that start after those open or closed now.

    Rows that were held to learn a reference from are let go. Returns the entries that say so, too.
    """
    last = state.newest_baseline
    taken = [k.start for k in state.windows]
    if state.book.last_closed is not None:
        taken.append(state.book.last_closed)
    since = max(taken) + plan.window if taken else 0
    numbered = replace(baseline, number=last.number + 1 if last else 1, since=since if last or taken else 0)
    logger("reference").info(
        "reference ready", model=plan.name, number=numbered.number, hash=numbered.hash, rows=numbered.rows
    )
    changes = forget_held(state) | {("baseline", plan.name, str(numbered.number)): numbered.dump()}
    return replace(state, baselines=(*state.baselines, numbered), learning={}), changes
