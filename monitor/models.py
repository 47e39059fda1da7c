"""From configured models to working ones: sources, decoders, schema, reference."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from detectors.calibration import Calibrator
from monitor.book_facts import source_names
from monitor.budgeting import RESAMPLE, calibration
from monitor.config import Config, Model, Source
from monitor.core.assessing import Assessor
from monitor.core.joining import Joining
from monitor.core.judging import BudgetJudge
from monitor.core.learning import forget_held
from monitor.core.outcomes import Vocabulary
from monitor.core.pile import Keep
from monitor.core.plan import Plan, joins
from monitor.core.reference import Baseline
from monitor.core.remeasuring import remeasured
from monitor.core.schema import Schema
from monitor.core.standard import Standard, layout, same_codes
from monitor.core.state import ModelState, volume_changes
from monitor.core.streaming import Streaming
from monitor.core.tracks import track_changes
from monitor.core.wealth import FAULTS, wealth_changes
from monitor.decoders.plain import decode, peek_time
from monitor.errors import ConfigError, ReferenceUnusableError
from monitor.heavy_opening import heavy_of, with_jobs, with_samples
from monitor.logs import logger
from monitor.polling import Decode, Feed
from monitor.quantities import format_duration
from monitor.reference_file import ReferenceFile
from monitor.references import covers, measured_of, schema_of
from monitor.source_places import with_places
from monitor.sources.files import FilesSource
from monitor.sources.reading import Limits
from monitor.stream_opening import with_streams
from monitor.teaching import with_nulls
from monitor.types import Changes, Chunk
from monitor.worker import Tools, Worker

Finish = Callable[[], Standard]


class WatchedModel(Struct, frozen=True):
    """A model's worker with its open sources."""

    worker: Worker
    sources: tuple[tuple[FilesSource, Source], ...]

    def drain(self, tools: Tools, stop: Callable[[], bool]) -> int:
        """Take in all that every source has; returns how many batches."""
        if tools.heavy is not None:
            tools.heavy.after(tools, self.worker)  # what an earlier life has left
        return self.worker.drain_all(tools, self.feeds(), stop)

    def feeds(self) -> list[Feed]:
        """Return each source, and how its batches are decoded."""
        return [(source, self._decoder(config)) for source, config in self.sources]

    def _decoder(self, source: Source) -> Decode:
        form, wanted = source.format, self.worker.schema.wanted
        if source.role == "outcomes":
            wanted = Vocabulary.of(self.worker.plan.model).wanted
        return lambda batch: tuple(decode(chunk, wanted, form) for chunk in batch.chunks)

    def serves(self, config: Config, model: Model) -> bool:
        """Tell whether it runs as configured here."""
        limits = Limits(max_line=config.daemon.max_line)
        return self.worker.plan.model == model and all(source.limits == limits for source, _ in self.sources)

    def reads(self, model: Model) -> bool:
        """Tell whether rows' times are read as this model has it."""
        mine, other = self.worker.plan.model.columns, model.columns
        return (mine.timestamp, mine.timestamp_unit) == (other.timestamp, other.timestamp_unit)

    def problems(self) -> Iterator[tuple[str, float]]:
        """Yield each source's name and 1 while it has a file it cannot read."""
        for source, _ in self.sources:
            yield source.name, float(bool(source.problems))

    def close(self) -> None:
        """Close the sources."""
        for source, _ in self.sources:
            source.close()


def with_standard(
    model: Model, file: ReferenceFile | None, state: ModelState
) -> tuple[ModelState, Changes, Finish | None]:
    """Measure the newest reference's own performance, unless that was done or it is no file with outcomes.

    What takes long of it goes on in the background; the last thing returned waits for it.
    """
    baseline, now = state.newest_baseline, layout(model)
    done = {s.number for s in state.labels.standards if not s.pending and s.layout == now}
    if baseline is None or file is None or baseline.origin != file.origin or baseline.number in done:
        return state, {}, None
    if model.task == "none" or not model.columns.label:
        return state, {}, None
    if model.columns.label not in file.frame.columns and not joins(model):
        return state, {}, None
    standard, finish = measured_of(model, file.schema, file.frame, baseline)
    others = tuple(known for known in state.labels.standards if known.number != standard.number)
    labels = replace(state.labels, standards=(*others, standard))
    changes: Changes = {("standard", model.name, str(standard.number)): standard.dump()}
    return replace(state, labels=labels), changes, _background(finish) if standard.pending else None


def _background(work: Finish) -> Finish:
    pool = ThreadPoolExecutor(1, thread_name_prefix="losses")
    result = pool.submit(work)
    pool.shutdown(wait=False)
    return result.result


def joining_of(plan: Plan, state: ModelState, keep: Keep, finish: Finish | None = None) -> Joining | None:
    """Return what measures a model's performance, None where there is nothing to measure it by."""
    joined = joins(plan.model)
    if not joined and not any(standard.sums for standard in state.labels.standards):
        return None
    return Joining(Assessor(plan, Vocabulary.of(plan.model)), keep if joined else None, finish)


def with_window(plan: Plan, state: ModelState) -> tuple[ModelState, Changes]:
    """Take on the configured length of windows. Raises ConfigError while rows of another length are open.

    How many rows a window usually has, and what was read off the last ones, is learnt anew.
    """
    book, changes = replace(state.book, window=plan.window), Changes()
    if state.book.window not in (0, plan.window):
        was = format_duration(timedelta(microseconds=state.book.window))
        if state.windows:
            says = f'the state has open windows of {was}; set "{was}" again, then stop the daemon, run'
            does = "`driftd run --once --flush`, and change it"
            raise ConfigError([f"models.{plan.name}.window: {says} {does}"])
        if state.labels.records:
            says = f"the state has windows of {was} that wait for outcomes; set that again until"
            raise ConfigError(
                [f"models.{plan.name}.window: {says} label_horizon is over, or use a new state"]
            )
        changes = volume_changes(plan.name, dict.fromkeys(state.volumes))
        changes |= track_changes(plan.name, state.tracks, {})
        changes |= wealth_changes(plan.name, state.wealth, {})
        changes |= wealth_changes(plan.name, state.faults, {}, FAULTS)
        state = replace(state, volumes={}, tracks={}, wealth={}, faults={})
    return replace(state, book=book), changes


def with_layout(plan: Plan, state: ModelState) -> tuple[ModelState, bool]:
    """Take on what the configuration says of measuring; returns also whether waiting sums must be made anew.

    Raises ConfigError where rows that wait for outcomes cannot be read any more.
    """
    before, now, labels = state.labels.layout, layout(plan.model), state.labels
    again = before not in ("", now) and bool(labels.records)
    if again and not same_codes(plan.model, before):
        says = "task, classes or query have changed while windows wait for outcomes; undo that until"
        raise ConfigError([f"models.{plan.name}: {says} label_horizon is over, or use a new state folder"])
    # a standard of another layout is no measure any more; the newest one is measured anew
    known = tuple(s if s.layout == now else replace(s, sums={}, loss=b"") for s in labels.standards)
    return replace(state, labels=replace(labels, layout=now, standards=known)), again


def open_model(
    config: Config,
    model: Model,
    state: ModelState,
    tools: Tools,
    desk: tuple[Calibrator, Keep],
    before: WatchedModel | None = None,
) -> tuple[WatchedModel, Changes]:
    """Open a model on its last committed state; the reference is computed if it is not stored yet.

    before: the same model as it runs now, whose sources go on where they can. Returns also the entries to
    commit before it works. Raises DriftdError where the configuration, the state and the reference do not
    go together.
    """
    plan = Plan.of(model)
    state, changes = with_window(plan, state)
    state, moved = with_places(plan, state)
    state, again = with_layout(plan, state)
    schema, file = reference_for(model, state, tools)
    changes |= moved
    if file is not None and file.stored is None:
        state, adopted = adopt(plan, state, file.baseline)
        changes |= adopted
    state, learnt = with_nulls(plan, file, state)
    state, measured, finish = with_standard(model, file, state)
    changes |= learnt | measured
    joining = joining_of(plan, state, desk[1], finish)
    if joining is not None and again:
        kept = remeasured(joining.assessor, state.labels, state.standard_at)
        state, changes = replace(state, labels=kept.labels), changes | kept.changes
    state, begun = with_streams(Streaming(model), state)
    _warn(plan, state)
    judge = BudgetJudge(plan, desk[0])
    heavy = heavy_of(plan, judge.level)
    state, dropped = with_jobs(heavy, state)
    state, usual = with_samples(plan, heavy, file, state)
    worker = Worker(plan, schema, judge, state, joining, heavy)
    if before is not None:
        worker.follow(before.worker)
    return WatchedModel(worker, _sources(config, schema, plan, before)), changes | begun | dropped | usual


def _sources(
    config: Config, schema: Schema, plan: Plan, before: WatchedModel | None
) -> tuple[tuple[FilesSource, Source], ...]:
    """Open a model's sources, but for those that run: they may hold a file that has no name any more."""
    running = before.sources if before is not None and before.reads(plan.model) else ()
    found = []
    for name, source in zip(source_names(plan), plan.model.sources, strict=True):
        made = open_source(config, schema, name, source)
        same = (old for old, was in running if (old.name, old.limits, was) == (name, made.limits, source))
        found.append((next(same, made), source))
    return tuple(found)


def _warn(plan: Plan, state: ModelState) -> None:
    """Say so when nothing but chance among independent rows stands behind the budget."""
    model = plan.model
    baseline = state.newest_baseline
    if baseline is None:
        return
    method, reason = calibration(plan, state, baseline)
    if method == RESAMPLE:
        says = "thresholds take rows for independent: where they are not, the budget does not hold"
        logger("reference").warning(says, model=model.name, budget=model.alarms.budget, reason=reason)


def open_source(config: Config, schema: Schema, name: str, source: Source) -> FilesSource:
    """Open one source of a model."""

    def peek(chunk: Chunk) -> int | None:
        return peek_time(schema, chunk, source.format, schema.columns.timestamp_unit)

    limits = Limits(max_line=config.daemon.max_line)
    return FilesSource(name, source.path, source.format, peek, limits)


def reference_for(model: Model, state: ModelState, tools: Tools) -> tuple[Schema, ReferenceFile | None]:
    """Return the log's schema, and the reference's file with the stored baseline if that serves this model.

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
    file = ReferenceFile(model, Path(path), stored, tools.run)
    kept = stored is not None and (stored.origin == file.origin or stored.from_log)
    if stored is None or not kept or not covers(stored, file.schema):
        file = replace(file, stored=None)
    return file.schema, file


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
