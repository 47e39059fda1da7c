"""What the configuration says of heavy detectors: what they may be on, when they run, their parameters."""

from collections.abc import Iterator

from detectors.alibi import is_alibi, wrong_options
from monitor.alibi_checks import alibi_columns
from monitor.complaints import Complaint, Place, quoted
from monitor.config import Features, Model, Monitor
from monitor.quantities import format_duration

LISTED = 3
"""Columns of a list that make up a monitor's name by themselves."""
APART = ("schedule", "name")
"""Keys that only heavy detectors have."""


def is_heavy(detector: str) -> bool:
    """Tell whether a detector is judged apart from the windows' closing."""
    from monitor.core.heavy import heavy_names  # noqa: PLC0415 - a slow import that few configurations need

    return detector in heavy_names()


def light_monitor(monitor: Monitor, place: Place) -> Iterator[Complaint]:
    """Check that another monitor has nothing that is for heavy ones."""
    for key in APART:
        if key in monitor.model_fields_set:
            yield Complaint((*place, key), "is for heavy detectors, as mmd; remove it")


def heavy_monitor(model: Model, place: Place) -> Iterator[Complaint]:
    """Check a monitor whose detector looks at whole rows; place: of the monitor."""
    monitor = model.monitors[int(place[-1])]
    if "scale" in monitor.model_fields_set:
        yield Complaint((*place, "scale"), "is for detectors of streams, as adwin; remove it")
    yield from _columns(model, monitor, place)
    yield from _parameters(monitor, place)
    if monitor.schedule is not None:
        yield from _schedule(model, monitor.schedule, place)


def _columns(model: Model, monitor: Monitor, place: Place) -> Iterator[Complaint]:
    on, features = monitor.on, model.features
    needs: tuple[Place, ...] = ((*place[:2], "features"), (*place, "detector"))
    if is_alibi(monitor.detector) and (wrong := alibi_columns(model, monitor, place)) is not None:
        yield wrong
    elif on in {"prediction", "score"} and not is_alibi(monitor.detector):
        says = "is one column, and this detector looks at whole rows; write a distance, as js, for it"
        yield Complaint((*place, "on"), f"{quoted(str(on))} {says}", needs)
    elif _one_category(monitor, features):
        says = f"is one category, of which whole rows say no more; write detector = {quoted('chi2')}"
        yield Complaint((*place, "on"), says, needs)
    elif isinstance(on, tuple) and len(on) > LISTED and monitor.name is None:
        yield Complaint((*place, "name"), f"is needed for a list of {len(on)} columns; give one", needs)
    else:
        yield from _twice(model, monitor, place)


def _one_category(monitor: Monitor, features: Features | None) -> bool:
    on = monitor.on if isinstance(monitor.on, tuple) else ()
    own = not is_alibi(monitor.detector)
    return own and len(on) == 1 and features is not None and on[0] in features.categorical


def _twice(model: Model, monitor: Monitor, place: Place) -> Iterator[Complaint]:
    from monitor.core.heavy import feature_of  # noqa: PLC0415 - see above

    mine = monitor.detector, feature_of(monitor)
    earlier = model.monitors[: int(place[-1])]
    if any((other.detector, feature_of(other)) == mine for other in earlier):
        says = "is the name of an earlier monitor too; write another name"
        yield Complaint((*place, "name"), f"{quoted(mine[1])} {says}", ((*place, "detector"),))


def _parameters(monitor: Monitor, place: Place) -> Iterator[Complaint]:
    from detectors.multivariate import mistakes  # noqa: PLC0415 - see above

    here: Place = (*place, "parameters")
    if is_alibi(monitor.detector):
        for key, says in wrong_options(monitor.detector, monitor.parameters).items():
            yield Complaint((*here, key), says)
        return
    for key, says in mistakes(monitor.detector, monitor.parameters):
        yield Complaint((*here, key) if key else here, says)


def _schedule(model: Model, line: str, place: Place) -> Iterator[Complaint]:
    from monitor.core.plan import MICROSECOND  # noqa: PLC0415 - see above
    from monitor.core.schedules import period  # noqa: PLC0415 - see above
    from monitor.cron import cron  # noqa: PLC0415 - see above

    try:
        every = period(cron(line)) * MICROSECOND
    except ValueError as error:
        yield Complaint((*place, "schedule"), f'{error}; write a crontab line, as "0 3 * * *"')
        return
    if every < model.window:
        says = f'comes more often than windows of "{format_duration(model.window)}" end; remove it'
        yield Complaint((*place, "schedule"), says, ((*place[:2], "window"),))
