"""What the configuration says of monitors of the predicted classes."""

from collections.abc import Iterator

from monitor.complaints import Complaint, Place, quoted
from monitor.config import Model, Monitor
from monitor.outcome_checks import CLASSES
from monitor.stream_checks import window_monitor

LABEL_SHIFT, PRIOR_DRIFT = "label_shift", "prior_drift"


def is_shift(detector: str) -> bool:
    """Tell whether a detector is of the predicted classes."""
    return detector in {LABEL_SHIFT, PRIOR_DRIFT}


def shift_monitor(model: Model, monitor: Monitor, at: Place, place: Place) -> Iterator[Complaint]:
    """Check a monitor of the predicted classes; at: the model's place."""
    yield from window_monitor(monitor, place)
    here, name = (*place, "detector"), quoted(monitor.detector)
    if "on" in monitor.model_fields_set:
        says = f"is not for {name}, which is of the predicted class; remove it"
        yield Complaint((*place, "on"), says, (here,))
    needs: tuple[Place, ...] = tuple((*at, key) for key in ("columns", "task", "reference"))
    if model.task not in CLASSES:
        says = f"is of classes, which task {quoted(model.task)} has not; remove this monitor"
        yield Complaint(here, f"{name} {says}", needs)
    elif monitor.detector == PRIOR_DRIFT and not model.columns.prediction:
        says = f"needs columns.prediction; add it, or write detector = {quoted(LABEL_SHIFT)}"
        yield Complaint(here, f"{name} {says}", needs)
    elif monitor.detector == LABEL_SHIFT and not (model.columns.label and model.reference.path):
        says = "needs a reference.path with columns.label in the file; add them"
        yield Complaint(here, f"{name} {says}", needs)
