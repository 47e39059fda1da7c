"""What `label_shift` judges: the window's predicted classes beside the reference's confusion of them."""

from detectors.beside import Classes
from detectors.class_shift import LABEL_SHIFT
from detectors.class_sums import ClassSums, OpenSums
from detectors.label_shift import estimated_shares
from monitor.config import Model, Monitor
from monitor.core.maturing import Maturing
from monitor.core.outcomes import Vocabulary
from monitor.core.plan import Plan, score_columns
from monitor.core.profiles import ALL, GroupKey
from monitor.core.standard import Standard

PRIOR_DRIFT = "prior_drift"


def wants_classes(model: Model) -> bool:
    """Tell whether a model has a monitor of label shift."""
    return any(monitor.detector == LABEL_SHIFT for monitor in model.monitors)


def as_distance(monitor: Monitor) -> Monitor:
    """Return the monitor that `prior_drift` is another name of; any other as it is."""
    if monitor.detector != PRIOR_DRIFT:
        return monitor
    return monitor.model_copy(update={"detector": "chi2", "on": "prediction"})


def classes_of(plan: Plan, maturing: Maturing | None, group: GroupKey) -> Classes | None:
    """Return the predicted classes of a group's window; None where nobody asks, or no outcome is known."""
    if maturing is None or not wants_classes(plan.model):
        return None
    assessor, standard, record, _ = maturing.scene(group)
    names, known = assessor.vocabulary.classes, standard.sums.get(group.segment)
    if record is None or known is None or not names:
        return None
    columns = ("prediction",) * bool(plan.model.columns.prediction) + score_columns(plan.model)
    predicted = OpenSums.of(record.open, len(names)).predicted[:-1]
    return Classes(names, columns, ClassSums.of(known, len(names)).confusion[:-1, :-1], predicted)


def label_shift_line(model: Model, standard: Standard) -> str:
    """Say whether the reference's outcomes let label shift be judged."""
    known, names = standard.sums.get(ALL), Vocabulary.of(model).classes
    if known is None or not names:
        return f"  {LABEL_SHIFT} is NOT JUDGED: the reference has no outcomes"
    confusion = ClassSums.of(known, len(names)).confusion[:-1, :-1]
    try:
        estimated_shares(confusion, confusion.sum(axis=0))
    except ValueError as error:
        return f"  {LABEL_SHIFT} is NOT JUDGED: {error}"
    return f"  {LABEL_SHIFT}: by {int(confusion.sum()):,} outcomes of the reference"
