"""What the models of the configuration cannot see alone: rules between keys, and files that must be there."""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterator
from urllib.parse import urlsplit

from monitor.complaints import LATER, LISTING, Complaint, Place, later, nearest, quoted, repeated
from monitor.config import Columns, Config, Features, Model, Monitor, Source, Webhook
from monitor.core.annotations import ENDPOINT as ANNOTATIONS
from monitor.embedding_checks import embeddings, feature_names, is_embedding
from monitor.fields import JOINT
from monitor.grafana_checks import grafana
from monitor.heavy_checks import heavy_monitor, is_heavy, light_monitor
from monitor.outcome_checks import is_performance, outcomes, performance_monitor
from monitor.quantities import format_duration
from monitor.registry_checks import registry
from monitor.shift_checks import is_shift, shift_monitor
from monitor.stream_checks import is_stream, stream_monitor, window_monitor
from monitor.upstream_checks import upstream
from monitor.webhook_checks import address, authentication, body, private, url_problem

CANONICAL = ("prediction", "score", "version")
RESERVED = ("_all", "_other")
GROUPS = ("features", "numeric", "categorical", "prediction", "score")
ENDINGS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv",
    ".parquet": "parquet", ".pq": "parquet", ".arrow": "ipc", ".ipc": "ipc", ".feather": "ipc",
}  # fmt: skip


def check(config: Config, detectors: Collection[str] | None) -> Iterator[Complaint]:
    """Yield everything wrong between the keys of a configuration whose single values are right.

    detectors: the names that a monitor may use; None leaves them unchecked.
    """
    repeated = [name for name, n in Counter(m.name for m in config.models).items() if n > 1]
    for i, model in enumerate(config.models):
        at: Place = ("models", i)
        if model.name in repeated and any(m.name == model.name for m in config.models[:i]):
            yield Complaint(
                (*at, "name"), f"{quoted(model.name)} is taken by an earlier model; choose another"
            )
        yield from _model(model, at, detectors)
        yield from _retrain(model, at, config)
        if model.registry is not None:
            yield from registry(model.registry, (*at, "registry"))
    for name, webhook in config.webhooks.items():
        if name == ANNOTATIONS:
            yield Complaint(("webhooks", name), "is the name that annotations have; choose another")
        yield from _webhook(webhook, ("webhooks", name))
    if config.exporters.grafana is not None:
        yield from grafana(config.exporters.grafana, ("exporters", "grafana"))


def _model(model: Model, at: Place, detectors: Collection[str] | None) -> Iterator[Complaint]:
    yield from _reference(model, at)
    yield from _outputs(model, at)
    yield from _roles(model.columns, (*at, "columns"))
    yield from _features(model, at)
    yield from upstream(model, at)
    yield from outcomes(model, at)
    for i, source in enumerate(model.sources):
        yield from _source(source, (*at, "sources", i))
    for i, monitor in enumerate(model.monitors):
        place: Place = (*at, "monitors", i)
        yield from _monitor(model, monitor, at, place, detectors)


def _monitor(
    model: Model, monitor: Monitor, at: Place, place: Place, detectors: Collection[str] | None
) -> Iterator[Complaint]:
    name, heavy = monitor.detector, is_heavy(monitor.detector)
    metric = re.split(r"[:@]", name.removeprefix("estimated_"))[0]
    if not heavy:
        yield from light_monitor(monitor, place)
    if detectors is not None and name not in detectors and metric not in detectors:
        says = f"{quoted(name)} is not a detector of this version{nearest(name, detectors, LISTING)}"
        yield Complaint((*place, "detector"), says)
    elif is_performance(name):
        yield from window_monitor(monitor, place)
        yield from performance_monitor(model, monitor, at, place)
        return
    elif is_stream(name):
        yield from stream_monitor(model, monitor, at, place)
        return
    elif is_shift(name):
        yield from shift_monitor(model, monitor, at, place)
        return
    elif heavy:
        yield from heavy_monitor(model, place)
        yield from _on(monitor, model, at, place)
        return
    elif detectors is not None and name not in detectors:
        says = f'{quoted(name)} is not a detector of this version; did you mean "{metric}"?'
        yield Complaint((*place, "detector"), says)
    yield from window_monitor(monitor, place)
    yield from _on(monitor, model, at, place)


def _reference(model: Model, at: Place) -> Iterator[Complaint]:
    place: Place = (*at, "reference")
    reference = model.reference
    if (reference.path is None) == (reference.first is None):
        found = "has neither path nor first" if reference.path is None else "has both path and first"
        yield Complaint(place, f"{found}; write one of them")
    if reference.path is not None and not os.path.isfile(reference.path):  # noqa: PTH113  # Path.is_file raises
        yield Complaint((*place, "path"), f"{quoted(str(reference.path))} is not a file; correct the path")
    elif reference.path is not None and not os.access(reference.path, os.R_OK):
        yield Complaint((*place, "path"), "cannot be read; check the file's permissions")
    if reference.first is not None and reference.first < 2 * model.window:
        least = format_duration(2 * model.window)
        says = f'"{format_duration(reference.first)}" is shorter than two windows; write at least "{least}"'
        yield Complaint((*place, "first"), says, needs=((*at, "window"),))


def _outputs(model: Model, at: Place) -> Iterator[Complaint]:
    columns, place = model.columns, (*at, "columns")
    needs = ((*at, "task"),)
    if not (columns.prediction or columns.score):
        yield Complaint(place, "names neither prediction nor score; one of them may be absent, not both")
    if isinstance(columns.score, dict):
        if model.task != "multiclass":
            says = 'is a table, which is for task "multiclass"; write one column'
            yield Complaint((*place, "score"), says, needs)
        elif len(columns.score) < 2:  # noqa: PLR2004  # two classes make a choice
            yield Complaint(
                (*place, "score"), "needs at least two classes; write class = column for each", needs
            )
    elif columns.score and model.task == "multiclass":
        says = 'must be a table for task "multiclass"; write class = column for each class'
        yield Complaint((*place, "score"), says, needs)


def _roles(columns: Columns, at: Place) -> Iterator[Complaint]:
    taken: dict[str, str] = {}
    for role, column in _role_columns(columns):
        if column in taken:
            says = f"{quoted(column)} is already the {taken[column]}; name another column"
            yield Complaint((*at, *role.split(".", 1)), says, needs=((*at, taken[column].split(".")[0]),))
        taken.setdefault(column, role)
    for kind in ("segments", "groups"):
        names: tuple[str, ...] = getattr(columns, kind)
        yield from repeated(names, (*at, kind))
        for i, name in enumerate(names):
            if name in taken:
                says = f"{quoted(name)} is already the {taken[name]}; remove it here"
                yield Complaint((*at, kind, i), says, needs=((*at, taken[name].split(".")[0]),))


def _role_columns(columns: Columns) -> Iterator[tuple[str, str]]:
    for role in ("prediction_id", "timestamp", "version", "prediction", "label", "query"):
        if column := getattr(columns, role):
            yield role, column
    if isinstance(columns.score, dict):
        yield from ((f"score.{name}", column) for name, column in columns.score.items())
    elif columns.score:
        yield "score", columns.score


def _features(model: Model, at: Place) -> Iterator[Complaint]:
    features, place = model.features or Features(), (*at, "features")
    roles = {column: role for role, column in reversed(list(_role_columns(model.columns)))}
    canonical = {
        *CANONICAL,
        *(f"score_{c}" for c in model.columns.score if isinstance(model.columns.score, dict)),
    }
    if model.features is not None and not (features.numeric or features.categorical or features.embeddings):
        yield Complaint(place, "is empty; name columns, or omit the table to take those of the reference")
    for kind, names in (("numeric", features.numeric), ("categorical", features.categorical)):
        yield from repeated(names, (*place, kind))
        for i, name in enumerate(names):
            says = _feature(name, roles, canonical)
            if says:
                yield Complaint((*place, kind, i), f"{quoted(name)} {says}", needs=((*at, "columns"),))
    yield from embeddings(features, roles, place)
    for i, name in enumerate(features.categorical):
        if name in features.numeric:
            says = f"{quoted(name)} is numeric already; keep it in one of the two lists"
            yield Complaint((*place, "categorical", i), says, needs=((*place, "numeric"),))


def _feature(name: str, roles: dict[str, str], canonical: Collection[str]) -> str:
    if name in roles:
        return f"is already columns.{roles[name]}; a column has one role, remove it here"
    if name in canonical:
        return f"clashes with driftd's own {name}; map it in columns, or rename the column in the log"
    return "is a name that driftd keeps for itself; rename the column in the log" if _reserved(name) else ""


def _reserved(name: str) -> bool:
    return name in RESERVED or name.partition(":")[0] == JOINT


def _source(source: Source, at: Place) -> Iterator[Complaint]:
    name = re.sub(r"\.(gz|zst)$", "", source.path)
    fits = ENDINGS.get(os.path.splitext(name)[1])  # noqa: PTH122  # a glob is no path
    if fits is not None and fits != source.format:
        says = f'"{source.format}" does not fit the ending of path; write format = "{fits}"'
        yield Complaint((*at, "format"), says, needs=((*at, "path"),))


def _on(monitor: Monitor, model: Model, at: Place, place: Place) -> Iterator[Complaint]:
    on, here = monitor.on, (*place, "on")
    needs = ((*at, "columns"), (*at, "features"))
    features = model.features
    if isinstance(on, tuple):
        yield from repeated(on, here)
        known = feature_names(features) if features else None
        for i, name in enumerate(on):
            if known is not None and name not in known:
                says = f"{quoted(name)} is not a configured feature{nearest(name, known)}"
                yield Complaint((*here, i), says, needs)
    elif on in LATER[Monitor, "on"]:
        yield Complaint(here, later("on", on))
    elif on in {"error", "loss"}:
        says = f"{quoted(on)} is for detectors of streams, as adwin; write another detector, or on"
        yield Complaint(here, says, ((*place, "detector"),))
    elif on not in GROUPS and not (is_heavy(monitor.detector) and is_embedding(features, on)):
        names = ", ".join(f'"{g}"' for g in GROUPS)
        yield Complaint(here, f"{quoted(on)} is not known; write one of {names}, or a list of columns")
    elif on in {"prediction", "score"} and not getattr(model.columns, on):
        yield Complaint(here, f"columns.{on} is not configured; add it or remove this monitor", needs)
    elif on in {"numeric", "categorical"} and features and not _any_of(features, on):
        yield Complaint(here, f"features.{on} is empty; add columns or remove this monitor", needs)


def _any_of(features: Features, on: str) -> bool:
    return bool(features.categorical if on == "categorical" else features.numeric or features.embeddings)


def _retrain(model: Model, at: Place, config: Config) -> Iterator[Complaint]:
    for i, retrain in enumerate(model.retrain):
        name = retrain.webhook
        if name not in config.webhooks:
            known = nearest(name, config.webhooks) if config.webhooks else f"; add [webhooks.{name}]"
            says = f"{quoted(name)} is not a configured webhook{known}"
            yield Complaint((*at, "retrain", i, "webhook"), says, needs=(("webhooks",),))


def _webhook(webhook: Webhook, at: Place) -> Iterator[Complaint]:
    problem = url_problem(webhook.url)
    if problem:
        yield Complaint((*at, "url"), problem)
    else:
        yield from address(webhook, at)
    if not (problem or webhook.allow_private) and (kind := private(urlsplit(webhook.url).hostname or "")):
        says = f"leads to an address that is not public ({kind}); if it shall, write allow_private = true"
        yield Complaint((*at, "url"), says, needs=((*at, "allow_private"),))
    yield from authentication(webhook, at)
    yield from body(webhook, at)
