"""What the configuration says of outcomes and performance: rules between its keys, and with the task."""

import re
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType

from monitor.complaints import LISTING, Complaint, Place, nearest, quoted, repeated
from monitor.config import Model, Monitor

CLASSES = ("binary", "multiclass")
ESTIMATED = "estimated_"
OF_ONE_CLASS = ("precision", "recall", "f1")
AREAS = ("roc_auc", "average_precision")
ESTIMABLE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "binary": ("accuracy", *OF_ONE_CLASS, "specificity", "balanced_accuracy", *AREAS),
        "multiclass": ("accuracy", *(f"{name}_macro" for name in OF_ONE_CLASS), *AREAS),
        "regression": ("mae", "mse", "rmse"),
    }
)
"""What can be estimated of a task; of several classes the metrics of one class too."""
OF_SCORES = ("log_loss", "brier", "ece", *AREAS)
AT_K = ("ndcg", "map", "recall", "hit_rate")


def outcomes(model: Model, at: Place) -> Iterator[Complaint]:
    """Check what the join needs, then what is done with the joined rows."""
    yield from _joined(model, at)
    yield from _classes(model, at)
    yield from _numbers(model, at)
    yield from _compare(model, at)
    yield from _asked(model, at)


def is_performance(detector: str) -> bool:
    """Tell whether a detector's name is that of a metric of performance."""
    from detectors.performance import METRICS  # noqa: PLC0415 - a slow import that few configurations need

    return re.split(r"[:@]", detector.removeprefix(ESTIMATED))[0] in METRICS


def performance_monitor(model: Model, monitor: Monitor, at: Place, place: Place) -> Iterator[Complaint]:
    """Check a monitor whose detector is a metric of performance; at: the model's place."""
    needs: tuple[Place, ...] = ((*at, "columns"), (*at, "task"), (*at, "performance"), (*at, "sources"))
    if "on" in monitor.model_fields_set:
        says = f"is not for {_named(monitor.detector)}, which is of whole rows; remove it"
        yield Complaint((*place, "on"), says, ((*place, "detector"),))
    wrong = _missing(model, monitor.detector) or _unfit(model, monitor.detector)
    if wrong:
        yield Complaint((*place, "detector"), f"{_named(monitor.detector)} {wrong}", needs)


def _named(detector: str) -> str:
    """Quote a metric's name, also one with a cutoff, which is no address."""
    return f'"{detector}"' if re.fullmatch(r"[a-z_]{1,40}@[0-9]{1,6}", detector) else quoted(detector)


def _reads_outcomes(model: Model) -> bool:
    return any(source.role != "predictions" for source in model.sources)


def _measured(model: Model) -> bool:
    """Tell whether predictions meet outcomes: those of a log, or those of the reference."""
    return _reads_outcomes(model) or bool(model.columns.label)


def _joined(model: Model, at: Place) -> Iterator[Complaint]:
    columns = model.columns
    needs: tuple[Place, ...] = ((*at, "columns"), (*at, "task"), (*at, "sources"))
    if all(source.role == "outcomes" for source in model.sources):
        says = 'are outcomes only; add a source with role = "predictions"'
        yield Complaint((*at, "sources"), says, needs)
    for i in [i for i, source in enumerate(model.sources) if source.role != "predictions"][:1]:
        place = (*at, "sources", i, "role")
        if not columns.label:
            yield Complaint(place, "needs columns.label, the outcome's column; add it", needs)
        if any(s.role == "outcomes" for s in model.sources) and not columns.prediction_id:
            yield Complaint(place, "needs columns.prediction_id to join by; add it", needs)
        if model.task == "none":
            yield Complaint(place, 'needs a task; write task = "binary" or what the model does', needs)
        if model.task == "regression" and not columns.prediction:
            yield Complaint(place, "needs columns.prediction for a regression; add it", needs)
        if model.task == "ranking" and not (columns.query and columns.score):
            yield Complaint(place, "needs columns.query and columns.score for a ranking; add them", needs)


def _classes(model: Model, at: Place) -> Iterator[Complaint]:
    classes, scores = model.performance.classes, model.columns.score
    place: Place = (*at, "performance", "classes")
    needs: tuple[Place, ...] = ((*at, "columns"), (*at, "task"), (*at, "sources"))
    yield from repeated(classes, place)
    table = tuple(scores) if isinstance(scores, dict) else ()
    if classes and model.task not in CLASSES:
        yield Complaint(place, f'are not for task "{model.task}"; remove them', needs)
    elif classes and model.task == "binary" and len(classes) != 2:  # noqa: PLR2004 - binary
        yield Complaint(place, "needs two for a binary task, the negative one first", needs)
    elif model.task == "multiclass" and _size(model) == 2 and model.columns.label:  # noqa: PLR2004
        says = 'are two; write task = "binary", with the score of the positive class'
        yield Complaint(place if classes else (*at, "columns", "score"), says, needs)
    elif len(classes) == 1:
        yield Complaint(place, "needs at least two; add the others", needs)
    elif classes and table and classes != table:
        says = "must be the classes of columns.score, in its order; write them so, or leave them out"
        yield Complaint(place, says, needs)
    elif not classes and not table and model.task == "multiclass" and _measured(model):
        yield Complaint(place, "is needed without a table of scores; add it", needs)


def _numbers(model: Model, at: Place) -> Iterator[Complaint]:
    wishes, place = model.performance, (*at, "performance")
    needs: tuple[Place, ...] = ((*at, "columns"), (*at, "task"), (*place, "classes"))
    if wishes.threshold is not None and not (model.task == "binary" and model.columns.score):
        says = "is for a binary task with columns.score; remove it"
        yield Complaint((*place, "threshold"), says, needs)
    yield from _costs(model, (*place, "costs"), needs)
    for i, q in enumerate(wishes.quantiles):
        if not 0 < q < 1:
            yield Complaint((*place, "quantiles", i), f"must lie between 0 and 1, not {quoted(q)}")
    for i, k in enumerate(wishes.k):
        if k < 1:
            yield Complaint((*place, "k", i), f"must be at least 1, not {quoted(k)}")
    yield from repeated(wishes.quantiles, (*place, "quantiles"))
    yield from repeated(wishes.k, (*place, "k"))


def _costs(model: Model, place: Place, needs: tuple[Place, ...]) -> Iterator[Complaint]:
    costs, size = model.performance.costs, _size(model)
    if not costs:
        return
    if model.task not in CLASSES:
        yield Complaint(place, f'are of classes, not for task "{model.task}"; remove them', needs)
    elif size and (len(costs) != size or any(len(row) != size for row in costs)):
        says = f"needs {size} rows of {size} costs: of a true class (row) predicted as each class"
        yield Complaint(place, says, needs)


def _size(model: Model) -> int:
    """Return how many classes there are, 0 where it is not known."""
    table = model.columns.score if isinstance(model.columns.score, dict) else ()
    return len(model.performance.classes or table or (("0", "1") if model.task == "binary" else ()))


def _compare(model: Model, at: Place) -> Iterator[Complaint]:
    wish, place = model.compare, (*at, "compare")
    if wish is None:
        return
    if wish.champion == wish.challenger:
        says = "is the champion too; name another version"
        yield Complaint((*place, "challenger"), says, ((*place, "champion"),))
    if not model.columns.version:
        says = "needs columns.version to tell the two apart; add it"
        yield Complaint(place, says, ((*at, "columns"),))
    if not _reads_outcomes(model):
        says = 'needs outcomes; add a source with role = "outcomes" or "both"'
        yield Complaint(place, says, ((*at, "sources"),))


def _asked(model: Model, at: Place) -> Iterator[Complaint]:
    """Check that a retraining that waits for performance does not wait for ever."""
    for i, wish in enumerate(model.retrain):
        for j, kind in enumerate(wish.when):
            place = (*at, "retrain", i, "when", j)
            if kind == "performance" and not _reads_outcomes(model):
                says = 'never comes without outcomes; add a source with role = "outcomes" or "both"'
                yield Complaint(place, f'"performance" {says}', ((*at, "sources"),))
            if kind == "estimated_performance" and (why := _no_estimate(model)):
                needs: tuple[Place, ...] = ((*at, "columns"), (*at, "task"), (*at, "reference"))
                yield Complaint(place, f'"estimated_performance" never comes: it {why}', needs)


def _no_estimate(model: Model) -> str:
    """Return what an estimate needs and this model has not; "" if it has all that the file can tell."""
    if model.task not in ESTIMABLE:
        return "cannot be estimated for this task; remove it"
    if not model.columns.label or model.reference.path is None:
        return "needs a reference.path with columns.label in the file; add them"
    if model.task in CLASSES and not model.columns.score:
        return "needs columns.score; add it"
    if model.task == "regression" and not model.columns.prediction:
        return "needs columns.prediction; add it"
    return ""


def _missing(model: Model, detector: str) -> str:
    """Return what the model lacks for any performance of this kind."""
    if model.task == "none":
        return 'needs a task; write task = "binary" or what the model does'
    if detector.startswith(ESTIMATED):
        return _no_estimate(model)
    if not _reads_outcomes(model):
        return 'is never known without outcomes; add a source with role = "outcomes" or "both"'
    return ""


def _unfit(model: Model, detector: str) -> str:
    """Return why there is no such metric of the model; "" where there is."""
    known = judgeable(model)
    name = detector.removeprefix(ESTIMATED)
    if not known:
        return ""  # another complaint says why nothing can be measured
    if name not in known:
        remedy = nearest(name, known, LISTING)
        return _lacks(model, name) or f'is not a metric of task "{model.task}"{remedy}'
    if detector == name or name in estimable(model, known):
        return ""
    others = ", ".join(one for one in estimable(model, known) if ":" not in one)
    return f"cannot be estimated; write estimated_ before one of {others}"


def _lacks(model: Model, name: str) -> str:
    base = re.split(r"[@:]", name)[0]
    ending = name[len(base) + 1 :]
    if model.task in CLASSES and base in OF_SCORES and not model.columns.score:
        return "needs columns.score; add it"
    if model.task in CLASSES and base == "cost":
        return "needs performance.costs; add them"
    if model.task == "ranking" and base in AT_K and ending.isdigit():
        return f"needs {ending} in performance.k; add it"
    if model.task == "regression" and base == "pinball" and re.fullmatch(r"0?\.[0-9]+", ending):
        return f"needs {ending} in performance.quantiles; add it"
    return ""


def judgeable(model: Model) -> tuple[str, ...]:
    """Return the metrics of a model that can be judged, none where it cannot be measured as it is written."""
    from detectors.measure import Better  # noqa: PLC0415 - slow imports that only these monitors need
    from monitor.core.outcomes import Vocabulary  # noqa: PLC0415 - as above
    from monitor.core.standard import Standard, measure_of  # noqa: PLC0415 - as above

    at: Place = ()
    if model.task == "none" or any((*_classes(model, at), *_numbers(model, at))):
        return ()
    named = isinstance(model.columns.score, dict)
    if model.task in CLASSES and (_size(model) < 2 or (named and model.task == "binary")):  # noqa: PLR2004
        return ()
    better = measure_of(model, Vocabulary.of(model), Standard(0)).better
    return tuple(name for name, which in better.items() if which is not Better.NEITHER)


def estimable(model: Model, known: Collection[str]) -> tuple[str, ...]:
    """Return which of the known metrics can be estimated."""
    fixed = ESTIMABLE.get(model.task, ())
    heads = tuple(f"{name}:" for name in OF_ONE_CLASS) if model.task == "multiclass" else ()
    return tuple(name for name in known if name in fixed or name.startswith(heads))
