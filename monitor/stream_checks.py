"""What the configuration says of detectors that go over rows: what they may be on, and their parameters."""

from collections.abc import Collection, Iterator

from monitor.complaints import Complaint, Place, nearest, quoted, repeated
from monitor.config import Features, Model, Monitor
from monitor.core.schema import NUMERIC_TASKS
from monitor.embedding_checks import feature_names

ON = ("error", "loss", "score", "prediction", "numeric")
CLASSES = ("binary", "multiclass")


def is_stream(detector: str) -> bool:
    """Tell whether a detector goes over rows one after the other."""
    from detectors.stream_choice import STREAMS  # noqa: PLC0415 - a slow import that few configurations need

    return detector in STREAMS


def window_monitor(monitor: Monitor, place: Place) -> Iterator[Complaint]:
    """Check that a detector of windows has nothing that is for streams."""
    for key in ("parameters", "scale"):
        if key in monitor.model_fields_set:
            yield Complaint((*place, key), "is for detectors of streams, as adwin; remove it")


def stream_monitor(model: Model, monitor: Monitor, at: Place, place: Place) -> Iterator[Complaint]:
    """Check a monitor whose detector goes over rows; at: the model's place."""
    if monitor.threshold is not None:
        says = "is not for a detector of streams, which has parameters instead; remove it"
        yield Complaint((*place, "threshold"), says)
    needs: tuple[Place, ...] = tuple(
        (*at, key) for key in ("columns", "features", "task", "sources", "reference")
    )
    needs += ((*place, "detector"), (*place, "on"))
    on = monitor.on if "on" in monitor.model_fields_set else "error"
    wrong = list(_listed(model, on, place, needs)) if isinstance(on, tuple) else []
    if isinstance(on, str) and (says := _on(model, on)):
        wrong = [Complaint((*place, "on"), says, needs)]
    yield from wrong
    if not wrong:
        yield from _of_kind(model, monitor, on, place, needs)
    yield from _parameters(monitor, on, place)


def _listed(
    model: Model, names: Collection[str], place: Place, needs: tuple[Place, ...]
) -> Iterator[Complaint]:
    yield from repeated(tuple(names), (*place, "on"))
    features = model.features
    if features is None:
        return
    for i, name in enumerate(names):
        if name in features.categorical:
            says = f"{quoted(name)} is categorical, and streams take numbers; remove it"
            yield Complaint((*place, "on", i), says, needs)
        elif name not in (known := feature_names(features) - {*features.categorical}):
            says = f"{quoted(name)} is not a configured feature{nearest(name, known)}"
            yield Complaint((*place, "on", i), says, needs)


def _on(model: Model, on: str) -> str:
    """Return what is wrong with what a stream is on; "" where nothing is."""
    columns, features = model.columns, model.features or Features()
    if on not in ON:
        names = ", ".join(f'"{name}"' for name in ON)
        return f"{quoted(on)} is nothing that a stream takes; write one of {names}, or a list of features"
    if on in {"error", "loss"}:
        return _on_outcomes(model, on)
    if on == "numeric" and model.features is not None and not (features.numeric or features.embeddings):
        return "features.numeric is empty; add columns or remove this monitor"
    if on in {"prediction", "score"} and not getattr(columns, on):
        return f"columns.{on} is not configured; add it or remove this monitor"
    numeric = model.task in NUMERIC_TASKS or (model.task == "none" and "prediction" in features.numeric)
    if on == "prediction" and not numeric:
        says = '"prediction" is a class here, and streams take numbers'
        return f'{says}; write on = "score" or remove this monitor'
    return ""


def _on_outcomes(model: Model, on: str) -> str:
    if all(source.role == "predictions" for source in model.sources):
        return f'{quoted(on)} is never known without outcomes; add a source with role = "outcomes" or "both"'
    if on == "error" and model.task not in CLASSES:
        hint = '; write on = "loss"' if model.task == "regression" else "; remove this monitor"
        return f"{quoted(on)} is of classes, which task {quoted(model.task)} has not{hint}"
    if on == "loss" and model.task not in (*CLASSES, "regression"):
        return f"{quoted(on)} is not of single rows of task {quoted(model.task)}; remove this monitor"
    if on == "loss" and model.task in CLASSES and not model.columns.score:
        return '"loss" needs columns.score; add it, or write on = "error"'
    return ""


def _of_kind(
    model: Model, monitor: Monitor, on: str | tuple[str, ...], place: Place, needs: tuple[Place, ...]
) -> Iterator[Complaint]:
    """Check that what a stream is on is what its detector takes, on its scale."""
    from detectors.stream_choice import STREAMS  # noqa: PLC0415 - see above

    takes, scale = STREAMS[monitor.detector].takes, monitor.scale
    bounded = on == "error" or (on == "loss" and model.task in CLASSES)
    if takes == "errors" and on != "error":
        says = f'{monitor.detector} takes errors only; write on = "error", or another detector'
        yield Complaint((*place, "on"), says, needs)
    elif scale is not None and bounded:
        yield Complaint((*place, "scale"), "is not for what is from 0 to 1 already; remove it", needs)
    elif scale == "raw" and takes == "unit":
        says = f"must be pit for {monitor.detector}, which takes numbers from 0 to 1; remove it"
        yield Complaint((*place, "scale"), says, needs)
    mapped = on == "loss" and not bounded and scale != "raw"
    if (mapped or (takes == "unit" and on in {"error", "loss"})) and not _answered(model):
        says = f"needs the reference's own outcomes to compare {quoted(str(on))} with; give a reference.path"
        yield Complaint((*place, "detector"), f"{quoted(monitor.detector)} {says}", needs)


def _answered(model: Model) -> bool:
    return model.reference.path is not None


def _parameters(monitor: Monitor, on: str | tuple[str, ...], place: Place) -> Iterator[Complaint]:
    from detectors.stream_choice import mistakes  # noqa: PLC0415 - see above
    from monitor.core.usual import BLOCKS  # noqa: PLC0415 - see above

    here, given = (*place, "parameters"), monitor.parameters
    wrong = [
        Complaint((*here, key) if key else here, says) for key, says in mistakes(monitor.detector, given)
    ]
    yield from wrong
    if wrong or not given.get("means"):
        return
    if on not in {"error", "loss"}:
        says = "is for the error and the loss: of features the reference's order is not known; remove it"
        yield Complaint((*here, "means"), says)
    elif given.get("block", 2) not in BLOCKS:
        says = f"must be one of {', '.join(map(str, BLOCKS))} with means"
        yield Complaint((*here, "block"), says)
