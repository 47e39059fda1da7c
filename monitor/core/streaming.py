"""Which streams a model has: its streaming monitors on a reference, each with its scale and its maker."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from detectors.base import Level
from detectors.mean_bound import Moments
from detectors.measure import Floats
from detectors.pit import Pit
from detectors.profile import NumericSummary, summaries
from detectors.stream_choice import STREAMS, defaults, make_stream
from detectors.streaming import Stream
from monitor.config import Model, Monitor
from monitor.core.plan import joins, score_columns, targets
from monitor.core.profiles import ALL
from monitor.core.reference import Baseline
from monitor.core.standard import Standard
from monitor.core.usual import ERROR, LOSS, Usual, losses

OUTCOMES: Mapping[str, str] = {"error": ERROR, "loss": LOSS}
"""What a monitor is `on` -> how it is called where others have a feature."""


class Spec(Struct, frozen=True):
    """One stream on one reference.

    make: gives a new stream; None where there is none, for the reason `why`, as a verdict of `level`.
    pit: the scale; None where values are taken as they are. says: how it judges, for people. parameters,
    moments: what it is made of.
    """

    feature: str
    detector: str
    kind: str
    make: Callable[[], Stream] | None = None
    pit: Pit | None = None
    level: Level = Level.NO_REFERENCE
    why: str = ""
    says: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    moments: Moments | None = None

    def scaled(self, values: Floats) -> Floats:
        """Return raw values as the stream takes them."""
        return values if self.pit is None else self.pit.map(values)


class Streaming:
    """The streaming monitors of one model. Specs are made once for each reference, by its number."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.losses = losses(model) if joins(model) else {}
        self._rows: dict[int, tuple[Spec, ...]] = {}
        self._outcomes: dict[int, tuple[Spec, ...]] = {}

    def of_rows(self, baseline: Baseline) -> Sequence[Spec]:
        """Return the streams of features, scores and predictions."""
        if baseline.number not in self._rows:
            found = [spec for monitor in streamed(self.model) for spec in self._on_columns(monitor, baseline)]
            self._rows[baseline.number] = _last(found)
        return self._rows[baseline.number]

    def of_outcomes(self, standard: Standard) -> Sequence[Spec]:
        """Return the streams of errors and losses; none where outcomes are not read."""
        if standard.number not in self._outcomes:
            wished = streamed(self.model) or _default(standard.usual)
            found = [self._on_outcomes(m, standard.usual) for m in wished if str(m.on) in OUTCOMES]
            self._outcomes[standard.number] = _last(found) if self.losses else ()
        return self._outcomes[standard.number]

    def _on_columns(self, monitor: Monitor, baseline: Baseline) -> Iterator[Spec]:
        if monitor.on in OUTCOMES:
            return
        spoken = {"prediction", *score_columns(self.model)}
        known = {
            s.grid.name: s
            for s in summaries(baseline.grid, baseline.profiles[ALL])
            if isinstance(s, NumericSummary)
        }
        for name in targets(self.model, baseline.grid, monitor):
            if name in known:
                kind = "prediction_drift" if name in spoken else "drift"
                yield _on_column(monitor, known[name], kind)

    def _on_outcomes(self, monitor: Monitor, usual: Mapping[str, Usual]) -> Spec:
        feature = OUTCOMES[str(monitor.on)]
        known = usual.get(feature)
        pit = known.pit if known is not None and monitor.scale != "raw" else None
        bare = Spec(feature, monitor.detector, "performance", pit=pit)
        mapped = monitor.scale != "raw" and self.model.task == "regression"
        if known is None and (mapped or STREAMS[monitor.detector].takes == "unit"):
            return _without(bare, Level.NO_REFERENCE, "the reference has no outcomes")
        parameters = dict(monitor.parameters)
        reference = None
        if known is not None and monitor.detector == "e_sr":
            parameters = self._cautious(parameters, known)
            reference = known.moments_of(int(parameters["block"]) if parameters.get("means") else 1)
        told = _told(parameters, known) if reference is not None else ""
        return _with(replace(bare, says=told), parameters, reference)

    def _cautious(self, given: dict[str, Any], known: Usual) -> dict[str, Any]:
        """Return the parameters of e_sr, with the harm that is tolerated and the blocks that are needed."""
        wishes = self.model.performance
        tolerance = wishes.tolerance if known.grid is None else known.grown(wishes.relative_tolerance)
        parameters = {"tolerance": tolerance} | given
        if known.block > 1 and not {"means", "block"} & given.keys():
            parameters |= {"means": True, "block": known.block}
        return {"block": 2} | parameters


def streamed(model: Model) -> tuple[Monitor, ...]:
    """Return the configured monitors whose detector goes over rows, with what each is on."""
    return tuple(
        m if "on" in m.model_fields_set else m.model_copy(update={"on": "error"})
        for m in model.monitors
        if m.detector in STREAMS
    )


def _default(usual: Mapping[str, Usual]) -> tuple[Monitor, ...]:
    """Return what goes over rows where no such monitor is configured: e_sr on the error, else on the loss."""
    if not usual:
        return ()
    return (Monitor(detector="e_sr", on="error" if ERROR in usual else "loss"),)


def _told(parameters: Mapping[str, Any], known: Usual | None = None) -> str:
    """Say how e_sr judges, and what is done where rows of the reference depend on each other."""
    asked = defaults("e_sr") | dict(parameters)
    said = f"one in {asked['arl']:,.0f} rows allowed, and a mean that moves by {asked['tolerance']:.4g}"
    if known is None or known.block == 1:
        return said
    rows = f"the reference's rows depend on each other over {known.block:,} rows"
    if known.dependent:
        return f"{said}, which is NOT KEPT: {rows} and more"
    if not asked["means"]:
        return f"{said}, which is NOT KEPT: {rows}; write means = true and block = {known.block}"
    return f"{said}; by the means of {asked['block']} rows, since {rows}"


def _on_column(monitor: Monitor, known: NumericSummary, kind: str) -> Spec:
    name = known.grid.name
    if not known.n:
        bare = Spec(name, monitor.detector, kind)
        return _without(bare, Level.NO_REFERENCE, "the reference has no value of it")
    pit = Pit.of_summary(known)
    scale = pit if monitor.scale != "raw" else None
    told = _told(monitor.parameters) if monitor.detector == "e_sr" else ""
    return _with(Spec(name, monitor.detector, kind, pit=scale, says=told), monitor.parameters, pit.reference)


def _with(bare: Spec, parameters: Mapping[str, Any], reference: Moments | None) -> Spec:
    def make() -> Stream:
        return make_stream(bare.detector, parameters, reference)

    try:
        make()
    except ValueError as error:
        return _without(bare, Level.INSUFFICIENT_DATA, str(error))
    return replace(bare, make=make, parameters=parameters, moments=reference)


def _without(bare: Spec, level: Level, why: str) -> Spec:
    return replace(bare, level=level, why=why)


def _last(found: Sequence[Spec]) -> tuple[Spec, ...]:
    """Return one spec for each feature and detector: what is configured last."""
    return tuple({(s.feature, s.detector): s for s in found}.values())
